"""Linear systems solved without waiting for the device; a module of its own, since it loads torch."""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class Unchecked(TorchFunctionMode):
    """Solves linear systems without asking the device whether they are singular: the host would wait for the answer."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is torch.linalg.solve:
            return torch.linalg.solve_ex(*args, **(kwargs or {})).result
        return func(*args, **(kwargs or {}))
