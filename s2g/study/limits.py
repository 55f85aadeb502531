"""Rate limits: a bucket of tokens per participant, and per address for those who show no valid link."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

MOST_BUCKETS = 10_000  # the least recently used are forgotten: they would be full again


@dataclass
class Buckets:
    """Buckets that hold `burst` requests and gain `rate` a second."""

    rate: float
    burst: float
    clock: Callable[[], float] = time.monotonic
    _left: OrderedDict[object, tuple[float, float]] = field(default_factory=OrderedDict)  # requests left, and when
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, who: object) -> bool:
        """Take one request out of the bucket of `who`; False if there is none left."""
        now = self.clock()
        with self._lock:
            left, before = self._left.pop(who, (self.burst, now))
            left = min(self.burst, left + (now - before) * self.rate)
            allowed = left >= 1
            self._left[who] = (left - allowed, now)
            if len(self._left) > MOST_BUCKETS:
                self._left.popitem(last=False)
        return allowed


@dataclass
class Limits:
    """Of a participant: about five pages of nine pictures a second, for ten seconds. Of strangers: half a guess a second."""

    participant: Buckets = field(default_factory=lambda: Buckets(rate=50, burst=500))
    stranger: Buckets = field(default_factory=lambda: Buckets(rate=0.5, burst=30))
