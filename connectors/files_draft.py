"""A mapping for the files a folder really holds: which of them make a table, and what their columns probably mean.

It asks nothing and leaves out what it cannot know; both what it guessed and what it left out stand in the mapping as comments.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from connectors.files_folder import Seen, look
from connectors.files_guess import Guess, guess
from connectors.files_sample import Sample, sample
from connectors.files_sheet import Unreadable
from connectors.files_words import folded

LOOKED_INTO = 5  # files of each name without digits, the newest ones
_FEW = 5
_SUFFIXES = re.compile(r"((?:\.(?:csv|tsv|tab|txt|jsonl?|ndjson|xlsx?|xlsm|parquet|zip))?(?:\.gz)?)$", re.IGNORECASE)
_PLAIN = re.compile(r"[^\W\d_][\w /-]*(?<! )")
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}  # texts that YAML takes for something else
_READS = {"email": "email", "domain": "domain", "amount": "money"}
_HEAD = """# yaml-language-server: $schema=schema/mapping.schema.json
#
# Exports in a folder → the unified model, written from the headers and first rows of the files that lie there.
# Everything is a guess: look it through, above all stages and dates. docs/files.md says what else can be said.
vendor: files
version: 1
"""


@dataclass
class Table:
    name: str
    patterns: list[str]
    files: list[Seen]
    first: Sample  # of its newest file that says enough


def draft(folder: Path, patterns: Sequence[str]) -> str:
    """The mapping's text; "" where no file is recognised."""
    tables = _tables(_samples(folder, patterns))
    guesses = [(table, guess(table.first, " ".join([table.name, *table.patterns]).lower())) for table in tables]
    known = [(table, found) for table, found in guesses if found]
    if not known:
        return ""
    lines = ["", "reads:"]
    for table, found in known:
        lines += _reads(table, found)
    lines += ["", "resources:"]
    for table, found in known:
        lines += _tally(table, found) if found.kind == "tally" else _records(table, found)
    staged = [(table, found) for table, found in known if found.stages]
    lines += ["stages:"] if staged else []
    for table, found in staged:
        lines += [f"  {table.name}:", *_stages(found)]
    lines += _unknown(table for table, found in guesses if not found)
    return _HEAD + "\n".join(lines).rstrip() + "\n"


# -- which files make a table ----------------------------------------------------------------------------------------------
def _samples(folder: Path, patterns: Sequence[str]) -> Iterator[tuple[Sample, list[Seen]]]:
    """The newest files of each name without digits, and all files so named."""
    shapes: dict[str, list[Seen]] = {}
    for file in sorted(look(folder, patterns)[0], key=lambda seen: seen.modified_ns, reverse=True):
        shapes.setdefault(_pattern(file.name), []).append(file)
    for files in shapes.values():
        for file in files[:LOOKED_INTO]:
            try:
                one = sample(file)
            except (Unreadable, OSError):
                continue  # a sync says what is wrong with it
            if one is not None and one.rows:
                yield one, files


def _tables(samples: Iterable[tuple[Sample, list[Seen]]]) -> list[Table]:
    """Files of one folder whose names differ in digits only, or whose headers are the same, are of one table."""
    tables: dict[tuple[str, object], Table] = {}  # by (folder, name without digits) and by (folder, columns)
    for one, files in samples:
        where, pattern = one.file.name.rpartition("/")[0], _pattern(one.file.name)
        shapes: tuple[object, object] = (pattern.lower().removesuffix(".gz"), frozenset(one.columns))
        table = next((tables[where, shape] for shape in shapes if (where, shape) in tables), None) or Table("", [], [], one)
        if pattern not in table.patterns:
            table.patterns.append(pattern)
            table.files += files
        if table.first.rows < _FEW < one.rows and one.columns.keys() == table.first.columns.keys():
            table.first = one  # the newest file may be nearly empty
        tables |= {(where, shape): table for shape in shapes}
    made = sorted({id(table): table for table in tables.values()}.values(), key=lambda table: table.patterns[0])
    names = {"table"}  # the template's own name
    for table in made:
        _apart(table, made)
        table.name = _name(table, names)
        names.add(table.name)
    return made


def _pattern(name: str) -> str:
    """The name with its digits left open: exports/deals-2026-05-01.csv → exports/deals-*.csv."""
    where, slash, last = name.rpartition("/")
    suffix = _SUFFIXES.search(last)
    end = suffix[1] if suffix else ""
    stem = re.sub(r"\d+(?:[-_. T]?\d+)*|\*", "*", last[: len(last) - len(end)])
    return re.sub(r"[:\\]|^~", "?", where + slash + re.sub(r"\*+", "*", stem) + end)


def _apart(table: Table, others: Sequence[Table]) -> None:
    """A folder that holds nothing else is named whole; patterns that take in another table's files become names."""
    where = table.patterns[0].rpartition("/")[0]
    alone = where and not any(other is not table and f.name.startswith(where + "/") for other in others for f in other.files)
    if alone and len(table.patterns) > 1:
        table.patterns = sorted({f"{where}/*{found[1]}" for p in table.patterns if (found := _SUFFIXES.search(p))})
    foreign = [f.name for other in others if other is not table for f in other.files]
    if any(_fits(pattern, name) for pattern in table.patterns for name in foreign):
        table.patterns = sorted(re.sub(r"[:\\]|^~", "?", f.name) for f in table.files)


def _fits(pattern: str, name: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", "[^/]*").replace(r"\?", "[^/]"), name, re.IGNORECASE) is not None


def _name(table: Table, taken: set[str]) -> str:
    where, _, last = table.patterns[0].rpartition("/")
    stem = _SUFFIXES.sub("", last)
    text = where.rpartition("/")[2] if folded(stem.replace("*", "")) == "" or (len(table.patterns) > 1 and where) else stem
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    name = re.sub(r"[^a-z]+", "_", plain).strip("_") or "export"
    return next(n for n in (name, *(f"{name}_{i}" for i in range(2, 1000))) if n not in taken)


# -- how it is written -----------------------------------------------------------------------------------------------------
def _reads(table: Table, found: Guess) -> Iterator[str]:
    several = len(table.files) > 1
    yield f"  # {len(table.files)} file{'s' if several else ''}, such as {_printable(table.first.file.name)}"
    yield f"  {table.name}:"
    yield "    like: table"
    yield f"    files: {_listed(table.patterns)}"
    if table.first.header_row:
        yield f"    header_row: {table.first.header_row}"
    if found.key:
        yield f"    key: {quoted(found.key)}"
    elif found.kind != "tally":
        yield "    # key: the column that makes a row's id; without it the whole row does, and a changed row is a new one"
    if found.decimal:
        yield f'    decimal: "{found.decimal}"'
    if found.formats:
        yield f"    date_format: {_listed(found.formats)}"
    if found.key:
        yield "    # whole: true  # if each new file lists everything: what it no longer lists is gone"


def _records(table: Table, found: Guess) -> Iterator[str]:
    yield f"  {table.name}:"
    yield f"    kind: {found.kind}"
    yield "    fields:"
    for name, column in found.fields.items():
        currency = f", currency: {quoted(found.fields['currency'])}" if name == "amount" and "currency" in found.fields else ""
        if name in _READS:
            yield f"      {name}: {{path: {quoted(column)}, read: {_READS[name]}{currency}}}"
        elif name not in ("stage", "currency"):
            yield f"      {name}: {quoted(column)}"
    if found.stages:
        yield f"    stage: {{path: {quoted(found.fields['stage'])}, table: {table.name}}}"
    yield from _left(found)


def _tally(table: Table, found: Guess) -> Iterator[str]:
    day = quoted(found.fields["day"])
    yield f"  {table.name}:"
    for measure, column in found.measures.items():
        parts = ", ".join([day, *map(quoted, found.dimensions), f"{{const: {quoted(measure)}}}"])
        yield "    - kind: tally"
        yield f"      id: [{parts}]"
        yield f"      fields: {{day: {day}, measure: {{const: {quoted(measure)}}}, value: {quoted(column)}}}"
        if found.dimensions:
            yield f"      attributes: {{{', '.join(f'{quoted(key)}: {quoted(name)}' for key, name in _keys(found.dimensions).items())}}}"
    yield from _left(found)


def _keys(names: Sequence[str]) -> dict[str, str]:
    return {folded(name) or f"column_{i}": name for i, name in enumerate(names, 1)}


def _left(found: Guess) -> Iterator[str]:
    if found.note:
        yield f"    # {found.note}"
    for name, why in found.left:
        if why:
            yield f"    # left out: {_printable(name)}: {why}"
    if rest := [_printable(name) for name, why in found.left if not why]:
        yield f"    # not mapped (what is worth keeping goes under `attributes`): {', '.join(rest[:40])}{' …' if len(rest) > 40 else ''}"
    yield ""


def _stages(found: Guess) -> Iterator[str]:
    fallback = "M50" if found.kind == "deal" else "M10"
    for value, milestone in found.stages.items():
        yield f"    {quoted(value)}: {milestone or fallback}  # {'guessed from its name' if milestone else 'a mere guess'}: confirm"
    yield ""


def _unknown(tables: Iterable[Table]) -> Iterator[str]:
    for table in tables:
        columns = [_printable(name) for name in table.first.columns]
        shown = ", ".join([*columns[:30], *(["…"] if columns[30:] else [])])
        yield f"# Not recognised: {', '.join(map(_printable, table.patterns[:3]))}, with {shown}"


def _listed(texts: Sequence[str]) -> str:
    return quoted(texts[0]) if len(texts) == 1 else f"[{', '.join(map(quoted, texts))}]"


def quoted(text: str) -> str:
    """The text as YAML: bare where it can only be a text."""
    return text if _PLAIN.fullmatch(text) and text.lower() not in _WORDS else json.dumps(text, ensure_ascii=False)


def _printable(text: str) -> str:
    return "".join(sign if sign.isprintable() else "?" for sign in text)
