"""A table as plain data, and its two faces: aligned plain lines, or Rich where somebody looks at a terminal."""

from __future__ import annotations

import os
import re
import shutil
import sys
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

ROOM = 12  # characters that a column of texts keeps where a terminal is narrow
WIDEST = 60  # a plain cell longer than this is cut, except in the last column
_STYLES = {
    "S1": "bold red", "S2": "yellow", "S3": "cyan", "S4": "dim",
    "done": "green", "partial": "bold yellow", "failed": "bold red", "rejected": "red", "running": "cyan", "lost": "bold red",
    "applied": "green", "already": "green", "undone": "green", "drifted": "yellow", "kept": "yellow", "gone": "yellow",
    "uncertain": "bold yellow", "late": "yellow",
}  # fmt: skip


_STEERING = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u202a-\\u202e\\u2066-\\u2069]")


@dataclass(frozen=True)
class Table:
    """Columns and rows of text. `numbers` are the places of the columns set flush right; `note` stands under the table."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    numbers: frozenset[int] = frozenset()
    note: str = ""


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str = "", numbers: Sequence[str] = (), note: str = "") -> Table:
    """Any values as a table: None is empty, whole numbers get thin groups (1,234)."""
    places = frozenset(i for i, name in enumerate(columns) if name in numbers)
    return Table(tuple(columns), tuple(tuple(cell(value) for value in row) for row in rows), cell(title), places, note)


def cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return "".join(c if c.isprintable() else " " for c in text)  # a vendor's text must not steer the terminal


def tame(text: str) -> str:
    """Text of a vendor without characters that steer a terminal, break a file or turn the reading direction; lines stay lines."""
    return _STEERING.sub(" ", text)


def text(shown: Table, terminal: bool | None = None) -> str:
    """The table as text. terminal None: Rich when standard output is a terminal, plain lines otherwise."""
    return rich_text(shown) if (on_terminal() if terminal is None else terminal) else plain_text(shown)


def on_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and "NO_COLOR" not in os.environ


# -- plain --------------------------------------------------------------------------------------------------------------
def plain_text(shown: Table) -> str:
    """Aligned lines, two spaces between columns, no trailing spaces, no colour."""
    last = len(shown.columns) - 1
    rows = [[_cut(value) if i < last else value for i, value in enumerate(row)] for row in shown.rows]
    widths = [max(_width(line[i]) for line in (shown.columns, *rows)) for i in range(last + 1)]
    lines = [shown.title] if shown.title else []
    lines.append(_line(shown.columns, widths, shown.numbers))
    lines.append(_line(["-" * w for w in widths], widths, frozenset()))
    lines += [_line(row, widths, shown.numbers) for row in rows]
    return "\n".join([*lines, shown.note] if shown.note else lines)


def _line(values: Sequence[str], widths: Sequence[int], numbers: frozenset[int]) -> str:
    padded = []
    for i, (value, width) in enumerate(zip(values, widths, strict=True)):
        space = " " * (width - _width(value))
        padded.append(space + value if i in numbers else value + space)
    return "  ".join(padded).rstrip()


def _cut(value: str) -> str:
    return value if len(value) <= WIDEST else value[: WIDEST - 1] + "…"


def _width(value: str) -> int:
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in value)


# -- Rich ---------------------------------------------------------------------------------------------------------------
def rich_table(shown: Table, width: int) -> Any:
    """Columns and rows as a Rich table so wide, without title and note."""
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=box.SIMPLE_HEAD)
    whole = _whole(shown, width)
    for i, name in enumerate(shown.columns):
        head = Text("\n".join(textwrap.wrap(name, whole[i])) if i in whole else name)
        drawn.add_column(head, justify="right" if i in shown.numbers else "left", overflow="fold", no_wrap=i in whole)
    for row in shown.rows:
        drawn.add_row(*(Text(value, style=_STYLES.get(value, "")) for value in row))
    return drawn


def _whole(shown: Table, width: int) -> dict[int, int]:
    """Columns of words (ids, dates, addresses, numbers) that are not broken, and how wide they are: as many as leave the others room."""
    words = [max(_width(word) for word in (*name.split(), *(row[i] for row in shown.rows), "")) for i, name in enumerate(shown.columns)]
    plain = [i for i in range(len(words)) if all(" " not in row[i] for row in shown.rows)]
    longest = [max(map(_width, (name, *(row[i] for row in shown.rows)))) for i, name in enumerate(shown.columns)]
    room = width - 3 * len(words) - 1 - sum(min(ROOM, longest[i]) for i in range(len(words)) if i not in plain)
    kept: dict[int, int] = {}
    for i in sorted(plain, key=lambda i: words[i]):
        room -= words[i]
        if room < sum(min(ROOM, words[k]) for k in plain if k not in kept and k != i):
            break
        kept[i] = words[i]
    return kept


def rich_text(shown: Table) -> str:
    """With colours, as wide as the terminal; where words would be broken to fit in, each row as a block of lines."""
    from io import StringIO

    from rich.console import Console
    from rich.text import Text

    width = shutil.get_terminal_size((120, 40)).columns
    console = Console(file=StringIO(), force_terminal=True, width=width)
    with console.capture() as capture:
        if shown.title:
            console.print(Text(shown.title, style="bold"))
        console.print(_blocks(shown) if _least_width(shown) > width else rich_table(shown, width))
        if shown.note:  # as wide as the terminal, however narrow the table is
            console.print(Text(shown.note, style="dim"))
    return capture.get().rstrip()


def _least_width(shown: Table) -> int:
    """How wide a terminal must be for all words to stay whole; 0 for a table of two columns, which is its own block."""
    lines = (shown.columns, *shown.rows)
    widest = [max((_width(word) for line in lines for word in line[i].split()), default=0) for i in range(len(shown.columns))]
    return sum(widest) + 3 * len(widest) + 1 if len(widest) > 2 else 0


def _blocks(shown: Table) -> Any:
    """Each row as its columns' names and values, one under the other, without the empty ones: ids can be read and copied."""
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable.grid(padding=(0, 2, 0, 0))
    drawn.add_column(no_wrap=True, style="dim")
    drawn.add_column(overflow="fold")
    for place, row in enumerate(shown.rows):
        if place:
            drawn.add_row("", "")
        for name, value in zip(shown.columns, row, strict=True):
            if name and value:
                drawn.add_row(Text(name), Text(value, style=_STYLES.get(value, "")))
    return drawn
