"""A run as bytes, packed once for all its units and unpacked once by a worker: a unit's task is then little more than a number.

A worker keeps the run that it has unpacked, with what its bench has read by then, such as lists of prompts.
"""

from __future__ import annotations

import pickle
from functools import lru_cache

from s2g.engine.run import Run

MOST = 10_000  # runs that are kept packed: of one sweep
_packed: dict[int, tuple[Run, bytes]] = {}  # by id, and with the run, since another one may be given its id once it is gone


def pack(run: Run) -> bytes:
    """Return the run pickled."""
    if id(run) not in _packed:
        if len(_packed) >= MOST:
            _packed.clear()
        _packed[id(run)] = run, pickle.dumps(run)
    return _packed[id(run)][1]


@lru_cache(maxsize=16)
def unpack(content: bytes) -> Run:
    """Return the run that was packed; errors as of pickle.loads."""
    return pickle.loads(content)
