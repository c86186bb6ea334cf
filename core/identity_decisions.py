"""What people decided about who is who: links (two records are one) and cuts (they are two), of identity.yaml or by command.

They win over all evidence. It must not know how records are resolved, nor where decisions made by command are kept.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from core.checked import Written, check
from core.yaml_positions import Document, did_you_mean, raise_mistakes, read_yaml

ONE, TWO = "one", "two"
_RECORD = r"^[^:\s]+:[^:\s]+:\S.*$"


def _key(text: str) -> str:
    if not is_record(text):
        raise ValueError(f"{text!r} is not a record: write account:resource:id, such as hubspot:contacts:151")
    return text


def _reason(text: str) -> str:
    if not text.strip():
        raise ValueError("say why, for those who come later")
    return text


RecordKey = Annotated[str, AfterValidator(_key), Field(json_schema_extra={"pattern": _RECORD})]


@dataclass(frozen=True)
class Decision:
    """Two records (account:resource:id) and what they are. `where`: the file and position, or the decision's id in the ledger."""

    left: str
    right: str
    verdict: Literal["one", "two"]
    why: str = ""
    where: str = ""

    @property
    def pair(self) -> tuple[str, str]:
        return (self.left, self.right) if self.left <= self.right else (self.right, self.left)


class Together(Written):
    """Records a person looked at."""

    records: list[RecordKey] = Field(min_length=2)
    """The records as account:resource:id, such as hubspot:contacts:151."""
    why: Annotated[str, AfterValidator(_reason)]
    """Why, for those who come later. No personal data, please."""


class IdentityDocument(Written):
    """What people decided about who is who. It wins over all evidence."""

    version: Literal[1] = 1
    links: list[Together] = Field(default_factory=list)
    """The records of each entry are one person, company or deal."""
    cuts: list[Together] = Field(default_factory=list)
    """The records of each entry are as many persons, companies or deals as there are records."""


def is_record(text: str) -> bool:
    """Is it written account:resource:id?"""
    return re.match(_RECORD, text) is not None


def load_identity(path: Path, resources: Mapping[str, Collection[str] | None] | None = None) -> tuple[Decision, ...]:
    """The decisions of the file. `resources`: what each account has, where that is known.

    Raises: UserError with one line per mistake, each with file:line:column.
    """
    document = read_yaml(path)
    written = check(document, IdentityDocument)
    decisions: list[Decision] = []
    if written is not None:
        for name, entries in (("links", written.links), ("cuts", written.cuts)):
            for i, entry in enumerate(entries):
                _check_records(document, (name, i, "records"), entry.records, resources)
        decisions = [*_links(document, written.links), *_cuts(document, written.cuts)]
        _check_contradictions(document, written)
    raise_mistakes([document])
    return tuple(decisions)


def _links(document: Document, entries: Sequence[Together]) -> Iterable[Decision]:
    for i, entry in enumerate(entries):
        where = document.where(("links", i))
        yield from (Decision(a, b, "one", entry.why, where) for a, b in pairwise(entry.records))


def _cuts(document: Document, entries: Sequence[Together]) -> Iterable[Decision]:
    for i, entry in enumerate(entries):
        where = document.where(("cuts", i))
        yield from (Decision(a, b, "two", entry.why, where) for a, b in combinations(entry.records, 2))


def _check_records(
    document: Document, loc: tuple[str | int, ...], records: Sequence[str], resources: Mapping[str, Collection[str] | None] | None
) -> None:
    for i, record in enumerate(records):
        account, resource, _ = record.split(":", 2)
        if record in records[:i]:
            document.wrong((*loc, i), f"{record} stands here twice")
        elif resources is not None and account not in resources:
            document.wrong((*loc, i), f"no account {account!r} in the config{did_you_mean(account, resources)}")
        elif resources is not None and (known := resources[account]) is not None and resource not in known:
            document.wrong((*loc, i), f"{account} has no {resource!r}{did_you_mean(resource, known)}")


def _check_contradictions(document: Document, written: IdentityDocument) -> None:
    """A cut between records that links make one, over however many steps."""
    groups = Groups(pair for entry in written.links for pair in pairwise(entry.records))
    for i, entry in enumerate(written.cuts):
        for a, b in combinations(range(len(entry.records)), 2):
            if groups.one(entry.records[a], entry.records[b]):
                document.wrong(("cuts", i, "records", b), f"`links` says that {entry.records[b]} and {entry.records[a]} are one")


def contradiction(decisions: Sequence[Decision]) -> Decision | None:
    """A cut between records that the links among the decisions make one; None when they agree."""
    groups = Groups(d.pair for d in decisions if d.verdict == ONE)
    return next((d for d in decisions if d.verdict == TWO and groups.one(*d.pair)), None)


class Groups:
    """Which records are one by links alone."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._group: dict[str, set[str]] = {}
        for a, b in pairs:
            both = self._group.get(a, {a}) | self._group.get(b, {b})
            self._group |= dict.fromkeys(both, both)

    def one(self, a: str, b: str) -> bool:
        return a == b or b in self._group.get(a, ())


def agreed(of_file: Sequence[Decision], of_ledger: Sequence[Decision]) -> tuple[Decision, ...]:
    """The decisions that hold: for one pair the file's before the ledger's, and of the ledger's the last."""
    by_pair = {decision.pair: decision for decision in (*of_ledger, *of_file)}
    return tuple(by_pair[pair] for pair in sorted(by_pair))
