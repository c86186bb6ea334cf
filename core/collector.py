"""How Python's garbage collector behaves while much is read: seldom at work, and the oldest generation is left alone."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_YOUNG = 5_000  # new objects before the youngest generation is looked through; Python's own is 700, three pages of rows
_SELDOM = 1_000  # collections of the middle generation before one of the oldest; Python's own is 10
_lock = threading.Lock()
_inside = 0
_before = (0, 0, 0)


@contextmanager
def long_lived() -> Iterator[None]:
    """Inside, what was there before is looked through a hundred times less often.

    Going through all modules, models and caches takes 50 ms, again and again, and pages of rows hold no cycles for it to
    find. A collector that is switched off stays so. Threads may be inside side by side; the last one out restores what was set.
    """
    global _inside, _before
    with _lock:
        if _inside == 0:
            _before = gc.get_threshold()
            gc.set_threshold(max(_before[0], _YOUNG) if _before[0] else 0, _before[1], max(_before[2], _SELDOM))
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                gc.set_threshold(*_before)
