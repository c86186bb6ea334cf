"""Progress of long work: Rich bars on a terminal, a plain line every few seconds elsewhere. Safe from several threads."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import IO, Any

EVERY_S = 5.0


class Progress:
    """Use as a context manager; `step` adds rows. Everything goes to standard error, so that --json stays clean."""

    def __init__(
        self,
        title: str,
        *,
        quiet: bool = False,
        stream: IO[str] | None = None,
        terminal: bool | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.title, self.quiet = title, quiet
        self.stream = stream or sys.stderr
        self.terminal = self.stream.isatty() if terminal is None else terminal
        self.monotonic = monotonic
        self._lock = threading.Lock()
        self._rows: dict[tuple[str, str], int] = {}
        self._bars: Any = None
        self._tasks: dict[tuple[str, str], Any] = {}

    def __enter__(self) -> Progress:
        self._began = self._spoke = self.monotonic()
        if self.terminal and not self.quiet:
            self._bars = _bars(self.stream)
            self._bars.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        if self._bars is not None:
            self._bars.stop()

    def step(self, account: str, resource: str, rows: int, total: int | None = None) -> None:
        """`rows` more of this resource; total is how many the vendor says there are, when it says so."""
        if self.quiet:
            return
        with self._lock:
            key = (account, resource)
            self._rows[key] = self._rows.get(key, 0) + rows
            if self._bars is not None:
                self._draw(key, total)
            else:
                self._say(key, total)

    def _draw(self, key: tuple[str, str], total: int | None) -> None:
        if key not in self._tasks:
            self._tasks[key] = self._bars.add_task(" ".join(part for part in key if part), total=None)
        self._bars.update(self._tasks[key], completed=self._rows[key], total=max(total, self._rows[key]) if total else None)

    def _say(self, key: tuple[str, str], total: int | None) -> None:
        now = self.monotonic()
        if now - self._spoke < EVERY_S:
            return
        self._spoke = now
        where = " ".join(part for part in key if part)
        of = f" of {total:,}" if total else ""
        print(f"{self.title}: {where} {self._rows[key]:,}{of} rows, {now - self._began:.0f} s", file=self.stream, flush=True)


def _bars(stream: IO[str]) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as RichProgress

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), TextColumn("{task.completed:,.0f} rows"), TimeElapsedColumn())
    return RichProgress(*columns, console=Console(file=stream), transient=True)
