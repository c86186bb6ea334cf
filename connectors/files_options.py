"""What a mapping may say about files under `reads`: which ones, and how their cells are written. Checked before the first read."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, BeforeValidator, Field

from core.checked import Written

Kind = Literal["csv", "jsonl", "json", "xlsx", "parquet"]


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _pattern(text: str) -> str:
    if text.startswith(("/", "~")) or "\\" in text or ".." in text.split("/") or ":" in text:
        raise ValueError("a pattern stays inside the account's folder; write leads/*.csv")
    return text


def _encoding(name: str) -> str:
    try:
        return codecs.lookup(name).name
    except LookupError:
        raise ValueError(f"no encoding {name!r}; usual ones are utf-8, utf-16, cp1252") from None


def _format(text: str) -> str:
    """A format in which a date comes back as it was written."""
    probe = datetime(2026, 12, 31, 23, 59, 58, tzinfo=UTC)
    try:
        same = datetime.strptime(probe.strftime(text), text).date() == probe.date()  # noqa: DTZ007
    except ValueError:
        same = False
    if not same:
        raise ValueError("a date format names day, month and year, such as %d.%m.%Y or %Y-%m-%d %H:%M")
    return text


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError(f"unknown time zone {name!r}")
    return name


def _one_sign(text: str) -> str:
    text = {"tab": "\t", "\\t": "\t"}.get(text, text)
    if len(text) != 1 or text in '"\r\n' or text.isalnum():
        raise ValueError("a separator is one sign, such as ; or , (tab for a tabulator)")
    return text


Texts = Annotated[list[str], BeforeValidator(_several, json_schema_input_type=str | list[str])]


class Table(Written):
    """Files of one kind: each row, under its header, is a row of the resource."""

    files: Annotated[list[Annotated[str, AfterValidator(_pattern)]], BeforeValidator(_several), Field(min_length=1)]
    """Pattern below the account's folder, or several: leads/*.csv, exports/**/*.xlsx. Capitals do not matter."""
    key_columns: Texts = Field(default_factory=list, alias="key")
    """Column, or columns, that make a row's id. An e-mail address is kept as a digest. Default: a digest of the whole row."""
    whole: bool = False
    """The newest file lists everything there is: rows that are no longer in it are gone."""
    order: Literal["modified", "name"] = "modified"
    """Which file is the newer one."""
    format: Kind | None = None
    """Kind of the files, when neither their beginning nor their name tells."""
    sheet: str | None = None
    """Sheet of a workbook. Default: the first one that is not hidden."""
    header_row: Annotated[int, Field(ge=1)] | None = None
    """Line, or row of the sheet, of the column names. Default: the first that is not blank."""
    columns: list[str] | None = None
    """Names of the columns, for files without a header."""
    encoding: Annotated[str, AfterValidator(_encoding)] | None = None
    """Of text files. Default: told from the byte order mark or the bytes."""
    delimiter: Annotated[str, AfterValidator(_one_sign)] | None = None
    """Between the cells of text files. Default: the one that makes rows as long as the header."""
    decimal: Literal[".", ","] | None = None
    """Decimal sign of numbers that are text. Default: a point, and no thousands separators."""
    thousands: Annotated[str, AfterValidator(_one_sign)] | None = None
    """Between thousands. Default with `decimal`: the other sign; blanks and apostrophes always."""
    date_format: Annotated[list[Annotated[str, AfterValidator(_format)]], BeforeValidator(_several)] = Field(default_factory=list)
    """How dates are written, besides ISO and Excel's day numbers: %d.%m.%Y, or several that are tried in turn."""
    timezone: Annotated[str, AfterValidator(_zone)] | None = None
    """Of times without one. Default: the organisation's."""
    pairs: Texts = Field(default_factory=list)
    """JSON and Parquet: lists of {key, value} that become objects, such as GA4's event_params."""
    settle_s: Annotated[float, Field(ge=0)] = 0
    """A file changed less than so many seconds before the run is left for the next one."""


def missing(wanted: Sequence[str], there: Sequence[str]) -> list[str]:
    """The wanted columns that a file does not have."""
    return [name for name in wanted if name not in there]
