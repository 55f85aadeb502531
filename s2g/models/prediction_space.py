"""Spaces in which predictions can be combined; models convert between them, methods name theirs."""

from __future__ import annotations

from enum import Enum


class Space(Enum):
    """Where a guidance method combines predictions."""

    RAW = "raw"  # the network's own output
    VELOCITY = "velocity"  # noise - data
    DENOISED = "denoised"  # the estimate of the data
