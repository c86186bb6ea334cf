"""Text files as records with line numbers: encodings, delimiters, quotes, line ends, and what people did to them.

A line that cannot be read becomes a problem of that line; the file goes on after it. Memory holds one record.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import BinaryIO, NamedTuple, TextIO

SAMPLE = 256 * 1024  # bytes looked at to tell encoding and delimiter
LINE_CHARS = 4 * 1024 * 1024  # a longer line is no line of a table
RECORD_LINES, RECORD_CHARS = 1000, 1024 * 1024  # a quote that is open for longer was never closed
DELIMITERS = ",;\t|"
# What office programs and CRMs write besides Unicode. More candidates would only add wrong guesses.
_CHARSETS = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "iso8859_2", "mac_roman", "shift_jis", "gb18030", "euc_kr", "big5"]
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_MULTIBYTE = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_HIGH = re.compile(rb"[\x80-\xff]")
_SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n?", re.IGNORECASE)


class Record(NamedTuple):
    """One row of a file: where it begins, its cells; or, with no cells, what is wrong with it."""

    line: int
    cells: list[str]
    problem: str = ""


def _as_cp1252(error: UnicodeError) -> tuple[str, int]:
    """Bytes that are no UTF-8 in a file that otherwise is: pasted from elsewhere, nearly always Windows-1252."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    stray = error.object[error.start : error.end]
    return "".join(bytes([b]).decode("cp1252", "replace") for b in stray), error.end


codecs.register_error("tundish-cp1252", _as_cp1252)


def encoding_of(sample: bytes) -> str:
    """The encoding of a text that begins so. UTF-8 when in doubt: stray bytes are then read as Windows-1252."""
    for mark, name in _MARKS:
        if sample.startswith(mark):
            return name
    if wide := _wide(sample):
        return wide
    high, valid = len(_HIGH.findall(sample)), sum(map(len, _MULTIBYTE.findall(sample)))
    if 2 * valid >= high - 3:  # the sample may end within a character
        return "utf-8"
    from charset_normalizer import from_bytes

    found = from_bytes(sample, cp_isolation=_CHARSETS)
    best, western = found.best(), next((m for m in found if m.encoding == "cp1252"), None)
    if best is None or "cp1252" in best.could_be_from_charset:
        return "cp1252"
    tied = western is not None and western.chaos <= best.chaos and western.coherence > best.coherence - 0.015
    return "cp1252" if tied else best.encoding  # a handful of accents says nothing: the commonest one then


def _wide(sample: bytes) -> str:
    """UTF-16 without a mark: in texts of western letters every other byte is zero."""
    head = sample[:4096]
    even, odd = head[::2].count(0), head[1::2].count(0)
    if len(head) < 4 or max(even, odd) < 0.3 * len(head) / 2 or min(even, odd) > 0.05 * len(head) / 2:
        return ""
    return "utf-16-be" if even > odd else "utf-16-le"


def opened(stream: BinaryIO, encoding: str) -> TextIO:
    """The stream as text, with line ends as they are."""
    return io.TextIOWrapper(stream, encoding, "tundish-cp1252" if encoding.startswith("utf-8") else "replace", newline="")


def delimiter_of(sample: str, suffix: str) -> str:
    """The delimiter by which most of the first rows are as long as the first one, and longest."""
    if found := _SEPARATOR_LINE.match(sample):
        return found[1]
    preferred = "\t" + DELIMITERS if suffix in (".tsv", ".tab") else DELIMITERS
    return max(preferred, key=lambda sign: _fit(sample, sign)) if sample else preferred[0]


def _fit(sample: str, sign: str) -> tuple[int, int]:
    """How many of the rows have the commonest number of cells, and that number; nothing for rows of one cell."""
    widths: Counter[int] = Counter()
    try:
        for row in csv.reader(io.StringIO(sample, newline=""), delimiter=sign):
            widths[len(row)] += 1
            if widths.total() >= 60:
                break
    except csv.Error:
        pass
    widths.pop(0, None)
    width, rows = max(widths.items(), key=lambda item: (item[1] * (item[0] > 1), item[0]), default=(0, 0))
    return (rows * (width > 1), width)


class _Endless(Exception):
    """A record that goes on for too long."""


class _Lines:
    """Lines for the CSV reader, counted; those of the record in hand are kept, so that they can be read again."""

    def __init__(self, text: TextIO, number: int) -> None:
        self.text, self.number = text, number
        self.pending: list[str] = []
        self.size = 0
        self.overlong: deque[int] = deque()
        self._again: deque[str] = deque()

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else self._line()
        if not line:
            raise StopIteration
        self.number += 1
        self.pending.append(line)
        if len(self.pending) > 1:
            self.size += len(line)
            if len(self.pending) > RECORD_LINES or self.size > RECORD_CHARS:
                raise _Endless
        return line

    def _line(self) -> str:
        line = self.text.readline(LINE_CHARS)
        if len(line) >= LINE_CHARS and not line.endswith(("\n", "\r")):
            while (rest := self.text.readline(LINE_CHARS)) and not rest.endswith(("\n", "\r")):
                pass
            self.overlong.append(self.number + 1)
            return "\n"
        return line.replace("\0", "") or "\n" if "\0" in line else line

    def done(self) -> None:
        self.pending.clear()
        self.size = 0

    def back(self) -> int:
        """Give up the record in hand: its first line is lost, the rest is read again. Returns that line's number."""
        start = self.number - len(self.pending) + 1
        self._again.extendleft(reversed(self.pending[1:]))
        self.number = start
        self.done()
        return start


def records(text: TextIO, delimiter: str, *, after: int = 0) -> Iterator[Record]:
    """The rows of the text, which begins after so many lines of its file. Blank lines come as rows without content."""
    lines = _Lines(text, after)
    while True:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
        try:
            for cells in reader:
                start = lines.number - len(lines.pending) + 1
                lines.done()
                if lines.overlong:
                    yield Record(lines.overlong.popleft(), [], "the line is too long to be a row")
                yield Record(start, cells)
            return
        except csv.Error:
            yield Record(lines.back(), [], "a quote is opened or closed where none should be")
        except _Endless:
            yield Record(lines.back(), [], "a quote is opened here and never closed")


def raw_lines(stream: BinaryIO, *, after: int = 0) -> Iterator[tuple[int, bytes | None]]:
    """(number, line) of a byte stream; None for a line that is too long."""
    number = after
    while line := stream.readline(LINE_CHARS):
        number += 1
        if len(line) >= LINE_CHARS and not line.endswith(b"\n"):
            while (rest := stream.readline(LINE_CHARS)) and not rest.endswith(b"\n"):
                pass
            yield number, None
        else:
            yield number, line


def clean_names(cells: Sequence[str]) -> list[str]:
    """Column names from a header: blanks trimmed and folded, empty ones named by place, a second of one name marked."""
    names: list[str] = []
    cells = list(cells)
    while cells and not str(cells[-1]).strip("\ufeff\u200b \t\r\n"):
        cells.pop()
    for place, cell in enumerate(cells, 1):
        name = " ".join(cell.replace("\ufeff", "").replace("\u200b", "").split()) or f"column {place}"
        again, plain = 2, name
        while name in names:
            name, again = f"{plain} ({again})", again + 1
        names.append(name)
    return names
