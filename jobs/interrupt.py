"""SIGTERM and Ctrl-C while something is read or written: the page or batch in hand is finished, then the command ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

_SAYS = "stopping after what is in hand; nothing is half written, and the same command goes on from here (once more: at once)"


@dataclass
class Interruption:
    """Which signal came, if any."""

    signal: int = 0

    def exit_code(self, otherwise: int) -> int:
        """128 and the signal's number, as a shell has it: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.signal if self.signal else otherwise


def _tell() -> None:
    import click

    click.echo(_SAYS, err=True)


@contextmanager
def interruptible(stop: threading.Event, tell: Callable[[], None] = _tell) -> Iterator[Interruption]:
    """SIGTERM and SIGINT set `stop`; a second one ends the process at once. Only possible in the main thread.

    `stop` is free again afterwards.
    """
    came = Interruption()
    if threading.current_thread() is not threading.main_thread():
        yield came
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

    def ask(number: int, frame: Any) -> None:
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        came.signal = number
        stop.set()
        tell()

    for number in before:
        signal.signal(number, ask)
    try:
        yield came
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came.signal:
            stop.clear()
