"""The whole way of a person, a company or a deal as lines in time: visits and touches, stages in each system, deals with amount and
outcome, events told; and the milestones on it, each with what is evidence of it.

Plain data out; personal data stays out of it. It reads facts and the ledger and must not decide anything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import ibis

from core.ledger import Ledger
from core.ledger_events import history
from core.pipeline import Understanding
from core.tables import records
from core.thresholds import DEFAULTS
from jobs import show_events
from jobs.show_private import without_people

Row = Mapping[str, Any]
LANES = ("web", "mail", "sales", "records", "deals", "told")
_MAIL = ("open", "click", "send", "sent", "delivered", "bounce", "unsubscribe", "forward")  # kinds of touches


@dataclass(frozen=True, order=True)
class Moment:
    """One line. `record` is account:resource:id; `code`: the milestone that it is evidence of."""

    at: datetime
    account: str
    record: str
    what: str
    lane: str = "records"
    code: str = ""

    def to_json(self) -> dict[str, str]:
        return {"at": self.at.isoformat(), "account": self.account, "what": self.what, "record": self.record, "lane": self.lane}


@dataclass(frozen=True)
class Reached:
    """A milestone. `at` None: nobody knows when; `implied`: only a later one says so. `evidence`: the moments that date it."""

    code: str
    at: datetime | None
    implied: bool
    evidence: tuple[Moment, ...] = ()

    def to_json(self) -> dict[str, Any]:
        at = None if self.at is None else self.at.isoformat()
        return {"code": self.code, "at": at, "implied": self.implied, "evidence": [moment.to_json() for moment in self.evidence]}


def milestones(found: Understanding, kind: str, entity_id: str, way: Sequence[Moment]) -> list[Reached]:
    """The milestones of a person or a deal, in the ladder's order; of a company the first of each that its people and deals reached."""
    whose = [entity_id] if kind != "company" else [name for part in _of(found, kind, entity_id) for name in part]
    first: dict[str, dict[str, Any]] = {}
    for row in sorted(_rows(found.facts["milestone"], whose), key=lambda r: (r["reached_at"] is None, r["reached_at"] or found.as_of)):
        if kind != "company" or row["reached_at"] is not None:
            first.setdefault(row["code"], row)
    return [Reached(code, r["reached_at"], bool(r["implied"]), _evidence(r, way)) for code, r in sorted(first.items())]


def _evidence(row: Row, way: Sequence[Moment]) -> tuple[Moment, ...]:
    """What says so at that instant; else what says so on that day."""
    if row["reached_at"] is None:
        return ()
    same = [m for m in way if m.code == row["code"] and m.at.date() == row["reached_at"].date()]
    return tuple([m for m in same if m.at == row["reached_at"]] or same)


def dated(one: Mapping[str, Any]) -> list[str]:
    """(when, what says so, its record) of a milestone as JSON has it."""
    if one["at"] is None:
        return ["", "implied by a later one" if one["implied"] else "a system says so, nobody since when", ""]
    first = next(iter(one["evidence"]), {"what": "a date of the record", "record": ""})
    return [one["at"][:16].replace("T", " "), first["what"], first["record"]]


def timeline(
    found: Understanding, ledger: Ledger, kind: str, entity_id: str, names: Mapping[str, str],
    sales: Collection[str] = DEFAULTS["sales_touches"],
) -> list[Moment]:  # fmt: skip
    """The way of a person with his deals, of a deal alone, of a company with its people and deals.

    names: milestone code → what reports call it; sales: the kinds of touches that are sales' work.
    """
    f = found.facts
    persons, deals = _of(found, kind, entity_id)
    entities = [*persons, *deals, *([entity_id] if kind == "company" else [])]
    moments = [
        *_touches(found, persons, sales),
        *(_created(row) for row in _rows(f["people"], persons)),
        *_changes(_rows(f["changes"], entities), names),
        *_deals(_rows(f["deals"], deals), _rows(f["deal"], deals), _rows(f["milestone"].filter(f["milestone"].kind == "deal"), deals)),
        *_told(_history(found, ledger, entities)),
    ]
    return sorted(m for m in moments if m is not None)


def _of(found: Understanding, kind: str, entity_id: str) -> tuple[list[str], list[str]]:
    """The persons and deals whose moments it are."""
    f = found.facts
    if kind == "deal":
        return [], [entity_id]
    if kind == "company":
        deals = _column(f["deal_company"], "deal", f["deal_company"].company == entity_id)
        own = _column(f["person_company"], "person", f["person_company"].company == entity_id)
        on = _column(f["deal_person"], "person", f["deal_person"].deal.isin(deals)) if deals else []
        return sorted({*own, *on}), deals
    return [entity_id], _column(f["deal_person"], "deal", f["deal_person"].person == entity_id)


def _rows(table: ibis.Table, entities: Sequence[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = table.filter(table.entity_id.isin(entities)).to_pyarrow().to_pylist() if entities else []
    return rows


def _column(table: ibis.Table, name: str, which: ibis.Value) -> list[str]:
    return sorted(set(table.filter(which)[name].to_pyarrow().to_pylist()))


def _moment(row: Row, at: datetime | None, what: str, lane: str = "records", code: str | None = None) -> Moment | None:
    if at is None:
        return None
    return Moment(at, row["account"], f"{row['account']}:{row['resource']}:{row['vendor_id']}", without_people(what), lane, code or "")


# -- touches ------------------------------------------------------------------------------------------------------------
def _touches(found: Understanding, persons: Sequence[str], sales: Collection[str]) -> Iterator[Moment | None]:
    rows = sorted(_rows(found.facts["touches"], persons), key=lambda r: (r["occurred_at"] is None, r["occurred_at"] or found.as_of))
    ids = sorted({r["campaign_id"] for r in rows if r["campaign_id"]})
    called = {**_names(found, "campaign", ids), **_names(found, "experiment", ids)}
    visited = False
    for row in rows:
        first = row["kind"] == "visit" and not visited
        visited = visited or first
        words = ("first " if first else "") + _said(row, called.get((row["account"], row["campaign_id"])))
        yield _moment(row, row["occurred_at"], words, _lane(row["kind"], sales), row["stage"])


def _lane(kind: str | None, sales: Collection[str]) -> str:
    """Of a touch: letters are opened and clicked, what is neither that nor sales' is on the web."""
    return "sales" if kind in sales else "mail" if kind in _MAIL else "web"


def _names(found: Understanding, kind: str, ids: Sequence[str]) -> dict[tuple[str, str], str]:
    """(account, id) → name of campaigns or experiments."""
    if not ids:
        return {}
    t = records(found.tables, kind)
    rows = t.filter(t.vendor_id.isin(ids), t.name.notnull()).select("account", "vendor_id", "name").to_pyarrow().to_pylist()
    return {(r["account"], r["vendor_id"]): r["name"] for r in rows}


def _said(row: Row, name: str | None) -> str:
    """A touch in words: the agreed kinds (visit, exposure, response) in their own, the others with the vendor's event."""
    about = name or row["campaign_id"]
    if row["kind"] == "exposure":
        return f"saw variant {row['event']} of experiment {about}"
    surveyed = row["kind"] == "response" and "survey" in f"{row['resource']} {row['event']} {row['channel']}".lower()
    words = "answered survey" if surveyed else row["kind"] or row["event"] or "touch"
    if row["kind"] == "conversion" and row["event"]:
        words = f"conversion {row['event']}"
    source = " / ".join(str(row[n]) for n in ("source", "channel") if row[n])
    parts = [words, f"from {source}" if source else "", f"({about})" if about else "", _money(row["value"], row["currency"])]
    return " ".join(part for part in parts if part)


def _money(amount: Any, currency: str | None) -> str:
    if amount is None:
        return ""
    number = format(amount.normalize(), "f") if isinstance(amount, Decimal) else str(amount)
    return f"{number} {currency or ''}".strip()


# -- what the CRMs say --------------------------------------------------------------------------------------------------
def _created(row: Row) -> Moment | None:
    code = "M20" if row["converted"] is not None else "M10" if row["stage"] == "M10" else ""  # as core.milestones dates them
    return _moment(row, row["created_at"], "record created" + (f", source {row['source']}" if row["source"] else ""), code=code)


def _changes(rows: Sequence[Row], names: Mapping[str, str]) -> Iterator[Moment | None]:
    for row in rows:
        code = row["code"]
        meaning = f" ({code} {names.get(code, '')}".rstrip() + ")" if code else ""
        lane = "deals" if row["kind"] == "deal" else "records"
        yield _moment(row, row["at"], f"{row['kind']} {row['field']}: {row['value'] or '(empty)'}{meaning}", lane, code)


def _deals(deals: Sequence[Row], entities: Sequence[Row], milestones: Sequence[Row]) -> Iterator[Moment | None]:
    """Each record's creation, and each deal's end as the systems agree on it."""
    for row in deals:
        words = " ".join(w for w in ("deal created", _money(row["amount"], row["currency"])) if w)
        yield _moment(row, row["created_at"], words, "deals", "M50")
    ends = {(m["entity_id"], m["code"]): m["reached_at"] for m in milestones if not m["implied"]}
    for deal in entities:
        code = {"won": "M80", "lost": "M85"}.get(deal["outcome"])
        record = {"account": deal["source_account"], "resource": deal["source_resource"], "vendor_id": deal["source_id"]}
        reason = f", reason {deal['lost_reason']}" if deal["outcome"] == "lost" and deal["lost_reason"] else ""
        words = " ".join(w for w in (f"deal {deal['outcome']}", _money(deal["amount"], deal["currency"])) if w)
        yield _moment(record, ends.get((deal["entity_id"], code or "")), words + reason, "deals", code)


def _history(found: Understanding, ledger: Ledger, entities: Sequence[str]) -> list[dict[str, Any]]:
    """What was told of these entities, and of others before their records came here."""
    until = {name: when for entity in entities for name, when in found.past.before(entity).items()}
    former = history(ledger, sorted(set(until) - set(entities))) if until else []
    return history(ledger, entities) + [row for row in former if row["at"] <= until[row["entity_id"]]]


def _told(rows: Sequence[Row]) -> Iterator[Moment | None]:
    """Events of ours, at the time they were sent."""
    for row in rows:
        words = f"told {row['field']}: {show_events.said(row['values'])}" + ("; no reply came" if row["status"] == "uncertain" else "")
        yield _moment({"account": row["account"], "resource": row["target"], "vendor_id": row["vendor_id"]}, row["at"], words, "told")
