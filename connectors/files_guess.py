"""What a table of an export probably is: its kind, its id, and which column says what. Pure; nothing is claimed that its cells contradict.

How cells are written is tried with the very converters that read them. What can be read in two ways is left out, and said.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from connectors.files_sample import Sample
from connectors.files_values import BadCell, converter
from connectors.files_words import DAYS, DEAL_STAGES, FIELDS, ID_END, IDS, MEASURES, PERSON_STAGES, TITLES, folded

Kind = Literal["person", "company", "deal", "tally"]
Decimal = Literal[".", ","]
MOST_STAGES = 25
_ENOUGH = 0.9  # of a column's cells must be what it is taken for; the rest is dirt
_REPEATED = 0.25  # of a tally's rows may say an earlier one's numbers anew
_CLOCKS = ("", " %H:%M", " %H:%M:%S", ", %H:%M", " %I:%M %p")
_DAYS = ("%d.%m.%Y", "%d.%m.%y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%Y/%m/%d", "%d %b %Y", "%b %d, %Y", "%Y%m%d")
FORMATS = tuple(day + clock for day in _DAYS for clock in _CLOCKS)
_DATES = ("created_at", "updated_at", "close_date")
_PATH = re.compile(r"(?!\^|context(?:\.|$))[^.]+(?:\.[^.]+)*\.*")  # what a mapping can name
_THOUSANDS = re.compile(r"[^\d]*\d{1,3}(?:\.\d{3})+[^\d]*")


@dataclass
class Guess:
    """`fields` by unified name, `stages` by value; `left` are (column, why) of columns that are not mapped."""

    kind: Kind
    key: str = ""
    fields: dict[str, str] = field(default_factory=dict)
    stages: dict[str, str] = field(default_factory=dict)
    dimensions: list[str] = field(default_factory=list)
    measures: dict[str, str] = field(default_factory=dict)  # measure → column
    formats: list[str] = field(default_factory=list)
    decimal: Decimal | None = None
    left: list[tuple[str, str]] = field(default_factory=list)
    note: str = ""


def guess(sample: Sample, title: str) -> Guess | None:
    """None where it cannot be told. title: what the files are called, in small letters."""
    spelled = {name: cells for name, cells in sample.columns.items() if _PATH.fullmatch(name)}
    sample = replace(sample, columns=spelled)
    named = {kind: _named(sample, words) for kind, words in FIELDS.items()}
    kind = _kind(named, title)
    found = _records(kind, sample, named[kind]) if kind else _tally(sample)
    if found and not found.fields.keys() - {"stage", "currency"}:
        return None  # nothing of it can be read
    if found:
        used = {*found.fields.values(), *found.dimensions, *found.measures.values(), found.key, *(name for name, _ in found.left)}
        found.left += [(name, "") for name in sample.columns if name not in used]
    return found


def _named(sample: Sample, words: Mapping[str, Sequence[str]]) -> dict[str, str]:
    columns = {folded(name): name for name in reversed(list(sample.columns))}
    found: dict[str, str] = {}
    for unified, known in words.items():
        name = next((columns[word] for word in known if word in columns and columns[word] not in found.values()), None)
        if name is not None and any(sample.columns[name]):
            found[unified] = name
    return found


def _kind(named: Mapping[str, Mapping[str, str]], title: str) -> Literal["person", "company", "deal"] | None:
    """By what only such a table has; the title decides where several fit."""
    deal, person, company = named["deal"], named["person"], named["company"]
    fits = {
        "deal": "amount" in deal and ("stage" in deal or "close_date" in deal),
        "person": {"first_name", "last_name"} <= set(person) or ("email" in person and _of_people(person, title)),
        "company": "domain" in company or ("name" in company and len(company) > 1),
    }
    titled = next((kind for kind, words in TITLES if fits[kind] and words.search(title)), None)
    return titled or next((kind for kind in ("deal", "person", "company") if fits[kind]), None)  # type: ignore[return-value]


def _of_people(named: Mapping[str, str], title: str) -> bool:
    """An address alone stands in lists of answers and orders, too."""
    return bool({"first_name", "last_name", "phone", "company_name"} & set(named) or dict(TITLES)["person"].search(title))


def _records(kind: Literal["person", "company", "deal"], sample: Sample, named: dict[str, str]) -> Guess | None:
    found = Guess(kind, _key(kind, sample, named))
    addresses = sample.values(named["email"]) if kind == "person" and "email" in named else []
    if not found.key and len(set(addresses)) < _ENOUGH * len(addresses):
        return None  # several rows a person: things that happened, and what they mean nobody can know
    found.fields = named
    _read_dates(found, sample, [named[name] for name in _DATES if name in named])
    _read_numbers(found, sample, [named[name] for name in ("amount", "employees") if name in named])
    if "stage" in named:
        values = sorted(set(sample.values(named["stage"])))
        if not values or kind == "company" or len(values) > MOST_STAGES:
            found.left.append((named.pop("stage"), f"{len(values)} different values are no stages"))
        else:
            words = DEAL_STAGES if kind == "deal" else PERSON_STAGES
            found.stages = {value: _milestone(value, words) for value in values}
    return found


def _milestone(value: str, words: Iterable[tuple[str, re.Pattern[str]]]) -> str:
    """ "" where no word tells."""
    return next((milestone for milestone, pattern in words if pattern.search(value.casefold())), "")


def _key(kind: Literal["person", "company", "deal"], sample: Sample, named: Mapping[str, str]) -> str:
    """The column that is called like an id, filled, and different in each row; an address will do for a person."""
    by_word = {folded(name): name for name in sample.columns}
    known = [by_word[word] for word in IDS[kind] if word in by_word]
    others = [name for name in sample.columns if ID_END.search(folded(name)) and name not in named.values()]
    address = [named["email"]] if kind == "person" and "email" in named else []
    return next((name for name in [*known, *others, *address] if _unique(sample, name)), "")


def _unique(sample: Sample, name: str) -> bool:
    values = sample.values(name)
    return 0 < _ENOUGH * sample.rows <= len(values) and len({value.casefold() for value in values}) >= _ENOUGH * len(values)


def _tally(sample: Sample) -> Guess | None:
    """A day, and numbers of it."""
    columns = {folded(name): name for name in sample.columns}
    day = next((columns[word] for word in DAYS if word in columns), None)
    numeric = [name for name in sample.columns if name != day and _decimals(sample.values(name))]
    if day is None or not numeric or any("@" in value for values in sample.columns.values() for value in values[:50]):
        return None
    found = Guess("tally", fields={"day": day})
    _read_dates(found, sample, [day])
    _read_numbers(found, sample, numeric)
    numbers = {name for name in numeric if name not in [column for column, _ in found.left]}
    texts = [name for name in sample.columns if name not in numeric and name != day]
    found.dimensions = [name for name in texts if len(sample.values(name)) >= _ENOUGH * sample.rows]
    for name in sample.columns:
        if name in numbers:
            measure = next((known for known, pattern in MEASURES if pattern.search(folded(name))), folded(name))
            found.measures[name if not measure or measure in found.measures else measure] = name
    keys = [row for row in zip(*(sample.columns[name] for name in (day, *found.dimensions)), strict=True) if row[0]]
    again = len(keys) - len(set(keys))
    found.note = f"{again} of {len(keys)} rows repeat an earlier one's id: the later one counts" if again else ""
    return found if found.fields and found.measures and again <= _REPEATED * len(keys) else None


# -- how cells are written -------------------------------------------------------------------------------------------------
def _read_dates(found: Guess, sample: Sample, columns: Sequence[str]) -> None:
    """Adds the formats of the columns; takes out of `fields` what is no date, or one of two."""
    several: list[tuple[str, list[str]]] = []
    for name in columns:
        fitting = _formats(sample.values(name))
        if fitting is None:
            _leave(found, name, "not read as dates")
        elif len(fitting) > 1:
            several.append((name, fitting))
        else:
            found.formats += [one for one in fitting if one not in found.formats]
    days = {one[:8] for one in found.formats}
    for name, fitting in several:  # another column of the table may have said whether day or month comes first
        chosen = [one for one in fitting if one[:8] in days]
        if len(chosen) == 1:
            found.formats += [one for one in chosen if one not in found.formats]
        else:
            _leave(found, name, f"day or month first? Say date_format: {' or '.join(repr(one) for one in fitting)}")


def _formats(values: Sequence[str]) -> list[str] | None:
    """[] where nothing need be said, several where the cells do not tell; None for what is no date."""
    if _read(values, "datetime", ()) >= _ENOUGH:
        return []
    shares = {one: _read(values, "datetime", (one,)) for one in FORMATS}
    best = max(shares.values())
    fitting = [one for one, share in shares.items() if share == best >= _ENOUGH]
    return fitting or None


def _read(values: Sequence[str], read: str, formats: Sequence[str], decimal: Decimal | None = None) -> float:
    """The share of the values that can be read so."""
    convert = converter(read, decimal=decimal, thousands=None, formats=formats, zone="UTC")
    assert convert is not None
    good = 0
    for value in values:
        try:
            good += bool(convert(value))
        except BadCell:
            continue
    return good / max(len(values), 1)


def _decimals(values: Sequence[str]) -> list[Decimal | None]:
    """The decimal signs by which these are numbers; None is: nothing need be said."""
    signs: tuple[Decimal | None, ...] = (None, ".", ",")
    return [sign for sign in signs if _read(values, "decimal", (), sign) >= _ENOUGH]


def _read_numbers(found: Guess, sample: Sample, columns: Sequence[str]) -> None:
    """Sets the table's decimal sign; takes out of `fields` what is no number, or one of two."""
    signs = {name: _decimals(sample.values(name)) for name in columns}
    fitting = [fits for fits in signs.values() if fits]
    common = [sign for sign in (None, ".", ",") if fitting and all(sign in fits for fits in fitting)]
    continental = any(one.startswith("%d.") for one in found.formats)
    if common[:1] == [None] and not _one_reading([v for name in columns if signs[name] for v in sample.values(name)], common):
        common = [","] if continental else []
    elif None in common:
        common = [None]
    elif len(common) > 1:
        common = [","] if continental else []
    found.decimal = common[0] if common else None  # type: ignore[assignment]
    for name in columns:
        if not common or common[0] not in signs[name]:
            _leave(found, name, "decimal point or comma? Say decimal" if signs[name] else "not read as numbers")


def _one_reading(values: Sequence[str], signs: Sequence[str | None]) -> bool:
    """1.234 may be more than a thousand: is there a number that it would make no sense for?"""
    dotted = [value for value in values if "." in value]
    return not dotted or "," not in signs or not all(_THOUSANDS.fullmatch(value) for value in dotted)


def _leave(found: Guess, name: str, why: str) -> None:
    found.fields = {unified: column for unified, column in found.fields.items() if column != name}
    found.left.append((name, why))
