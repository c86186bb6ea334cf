"""Mirrored deals field by field: what both sides agree on is kept as the base, and what differs is decided by `core.merge`.

The queries bring only what is new or apart, so that a quiet night costs nothing. Rules read the decisions as the fact `merged`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import ibis
import pyarrow as pa

from core.change import Written
from core.compiled import Compiled
from core.ledger_writes import FieldKey
from core.merge import Base, Decision, Side, Terms, Wins, decide
from core.rules.deal import amounts_agree, close_dates_agree
from core.rules.mirrors import mirrors, money
from core.rules.rule import Context
from core.tables import MOMENT
from core.thresholds import policy, policy_tolerance

ECHO = timedelta(hours=1)  # so long after an apply began its writes may show in a history
Ours = Callable[[Iterable[FieldKey]], Mapping[FieldKey, Written]]  # our last write of each of these fields, if there is one
_OTHER: Mapping[str, Wins] = {"a": "b", "b": "a"}
_RECORD = ("account", "resource", "vendor_id")
MERGED = pa.schema([(n, pa.string()) for n in ("entity_id", "field", "b_account", "b_resource", "b_vendor_id", "wins", "decision")])
_TIMES = ("a_since", "a_until", "a_before", "b_since", "b_until", "b_before", "base_at")
_PAIR = pa.schema(
    [("entity_id", pa.string()), ("pair", pa.string()), ("agree", pa.bool_()), ("base", pa.string())]
    + [(f"{end}_{n}", pa.string()) for end in "ab" for n in (*_RECORD, "value", "raw")]
    + [(n, pa.timestamp("us", "UTC")) for n in _TIMES]
)


@dataclass(frozen=True)
class Mirrored:
    """A field that stands in several systems. `value` compares, `raw` is what our own write of it looks like (see `core.ledger_echo`)."""

    field: str
    column: str
    value: Callable[[ibis.Table, str], ibis.Value]
    raw: Callable[[ibis.Table, str], ibis.Value]
    agree: Callable[[Context, ibis.Table], ibis.Value]
    source: str = ""  # what a push of it is written from, where that is called otherwise


def _text(column: str) -> Callable[[ibis.Table, str], ibis.Value]:
    return lambda t, end: t[f"{end}_{column}"].cast("string")


def _amount(t: ibis.Table, end: str) -> ibis.Value:
    return money(t[f"{end}_amount"])


def _equal(column: str) -> Callable[[Context, ibis.Table], ibis.Value]:
    return lambda ctx, t: t[f"a_{column}"] == t[f"b_{column}"]


MIRRORED = (
    Mirrored("stage", "stage", _text("stage"), _text("raw_stage"), _equal("stage")),
    Mirrored("amount", "amount", _amount, _amount, amounts_agree),
    Mirrored("close_date", "close_date", _text("close_date"), _text("close_date"), close_dates_agree),
    Mirrored("owner", "owner_email", _text("owner_email"), _text("owner_id"), _equal("owner_email"), source="owner_id"),
)


@dataclass(frozen=True)
class Merged:
    """`decisions`: the fact `merged` (columns: MERGED). `agreed`: (pair, field, value) that are new as a base."""

    decisions: pa.Table
    agreed: list[tuple[str, str, str]]


def merge_mirrors(ctx: Context, compiled: Compiled, ours: Ours) -> Merged:
    """The decisions about every mirrored field that differs. `ctx.facts` must have "base" (core.ledger_echo.BASES)."""
    decisions: list[dict[str, Any]] = []
    agreed: list[tuple[str, str, str]] = []
    for mirrored in MIRRORED:
        rows = compiled.rows(f"merge.{mirrored.field}", partial(_pairs, ctx, mirrored), _PAIR, ctx.as_of).to_pylist()
        agreed += [(r["pair"], mirrored.field, r["a_value"]) for r in rows if r["agree"]]
        decisions += _decided(ctx, mirrored, [r for r in rows if not r["agree"]], ours)
    return Merged(pa.Table.from_pylist(decisions, schema=MERGED), agreed)


def _pairs(ctx: Context, mirrored: Mirrored) -> ibis.Table:
    """Pairs that differ, and those that agree on something else than their base; columns: _PAIR."""
    p = mirrors(ctx, mirrored.field, mirrored.column)
    p = p.mutate(agree=mirrored.agree(ctx, p).fill_null(False), one=_key(p, "a"), other=_key(p, "b"))
    p = p.mutate(pair=ibis.least(p.one, p.other).concat("|", ibis.greatest(p.one, p.other)))
    p = p.mutate(**{f"{end}_{name}": say(p, end) for end in "ab" for name, say in (("value", mirrored.value), ("raw", mirrored.raw))})
    known = ctx.facts["base"].filter(lambda t: t.field == mirrored.field).select("pair", "base", "base_at")
    p = p.left_join(known, "pair").drop("pair_right")
    p = p.filter(~p.agree | p.base.isnull() | ((p.base != p.a_value) & (p.base != p.b_value)))
    for end in "ab":
        p = _dated(ctx, p, mirrored.source or mirrored.field, end)
    return p.select(*_PAIR.names)


def _key(p: ibis.Table, end: str) -> ibis.Value:
    return p[f"{end}_account"].concat(":", p[f"{end}_resource"], ":", p[f"{end}_vendor_id"])


def _dated(ctx: Context, p: ibis.Table, field: str, end: str) -> ibis.Table:
    """With when the value got there: by the field's history where its last entry is this value, else between base and last change.

    A vendor's history may tell a field again when another one changes: that is no edit, nor is a first entry that says the base.
    `before`: when the entry before the last was made, where the last one dates the value.
    """
    h = ctx.facts["changes"].filter(lambda c: (c.kind == "deal") & (c.field == field))
    order = {"group_by": list(_RECORD), "order_by": "seq"}
    h = h.mutate(nth=ibis.row_number().over(**order), again=h.value.identical_to(h.value.lag().over(**order)))
    h = h.filter((h.nth == 0) | ~h.again)
    h = h.mutate(before=h["at"].lag().over(**order))
    last = h.group_by(**{f"{end}_{n}": n for n in _RECORD}).agg(
        last_at=h["at"].max(), last_value=h.value.argmax(h.seq), last_nth=h.nth.max(), last_before=h.before.max()
    )
    t = p.left_join(last, [f"{end}_{n}" for n in _RECORD], rname="h_{name}")
    told = (t.last_value == t[f"{end}_raw"]) | (t.last_value.substr(0, 10) == t[f"{end}_raw"])
    told = told & ~((t.last_nth == 0) & t[f"{end}_value"].identical_to(t.base))
    at = ibis.ifelse(told.fill_null(False), t.last_at, ibis.null(MOMENT))
    since, until = ibis.coalesce(at, t.base_at), ibis.coalesce(at, t[f"{end}_updated_at"])
    before = ibis.ifelse(at.notnull(), t.last_before, ibis.null(MOMENT))
    t = t.mutate(**{f"{end}_since": since, f"{end}_until": until, f"{end}_before": before})
    return t.drop("last_at", "last_value", "last_nth", "last_before")


def _decided(ctx: Context, mirrored: Mirrored, rows: Sequence[Mapping[str, Any]], ours: Ours) -> list[dict[str, Any]]:
    name, order = policy(ctx.funnel, mirrored.field)
    terms = Terms(name or "source_of_truth", bool(order), timedelta(minutes=policy_tolerance(ctx.funnel, mirrored.field)))
    found = []
    written = ours([_field(mirrored, row, end) for row in rows for end in "ab"])
    for row in rows:
        decision = _decision(terms, mirrored, row, written)
        place = {n: row[n] for n in ("entity_id", "b_account", "b_resource", "b_vendor_id")}
        found.append({**place, "field": mirrored.field, "wins": decision.wins, "decision": decision.why or None})
    return found


def _field(mirrored: Mirrored, row: Mapping[str, Any], end: str) -> FieldKey:
    return row[f"{end}_account"], row[f"{end}_resource"], row[f"{end}_vendor_id"], mirrored.source or mirrored.field


def _decision(terms: Terms, mirrored: Mirrored, row: Mapping[str, Any], written: Mapping[FieldKey, Written]) -> Decision:
    last = {end: written.get(_field(mirrored, row, end)) for end in "ab"}
    echoes = {end: own for end in "ab" if (own := _echo(row, end, last[end], terms.tolerance))}
    taken_back = [end for end, own in echoes.items() if own.undone and row[f"{_OTHER[end]}_value"] is not None]
    if terms.policy == "most_recent" and len(taken_back) == 1:
        return Decision(_OTHER[taken_back[0]], "a person took our write of it back, and nobody edited it since")
    a, b = (_side(row, end, last[end], echoes.get(end)) for end in "ab")
    return decide(terms, a, b, _base(row, echoes))


def _echo(row: Mapping[str, Any], end: str, last: Written | None, tolerance: timedelta) -> Written | None:
    """Our last write of this side's field, if what stands there is what it, or its undo, left.

    A history with an entry between our write and what stands there tells of somebody who left our value and came back to it. What
    an undo left is forgotten as soon as both sides have agreed again.
    """
    if last is None or not _same(last.before if last.undone else last.value, row[f"{end}_raw"]):
        return None
    since, before = row[f"{end}_since"], row[f"{end}_before"]
    edited = (_exact(row, end) and since > last.at + ECHO) or (before is not None and before > last.at + tolerance)
    agreed = last.undone and row["base_at"] is not None and row["base_at"] > last.at + ECHO
    return None if edited or agreed else last


def _exact(row: Mapping[str, Any], end: str) -> bool:
    """Does a history say when the value got there?"""
    return row[f"{end}_since"] is not None and row[f"{end}_since"] == row[f"{end}_until"]


def _side(row: Mapping[str, Any], end: str, last: Written | None, echo: Written | None) -> Side:
    """The value and when a person put it there. The history's entry of our own write, or of its undo, is none of theirs.

    Where there is no history and our write of later than the base is gone, somebody came after it, even if he put the base back;
    unless the record was not changed since: then the lake has not seen our write yet.
    """
    value, since, until = (row[f"{end}_{n}"] for n in ("value", "since", "until"))
    exact = _exact(row, end)
    if echo and echo.undone:  # put there before our write, whenever that was
        return Side(value, (None if exact else since, echo.at))
    if echo and exact:
        return Side(value)
    newer = last is not None and last.at > (row["base_at"] or last.at - ECHO)
    if last and newer and not echo and not exact and until is not None and until > last.at:
        return Side(value, (last.at, until), moved=True)
    return Side(value, (since, until))


def _base(row: Mapping[str, Any], echoes: Mapping[str, Written]) -> Base | None:
    """The last agreed value; later than that, what we wrote to one side and what stands there still: it was the other side's."""
    newer = [(own.at, row[f"{end}_value"]) for end, own in echoes.items() if not own.undone and own.at > (row["base_at"] or own.at - ECHO)]
    if newer:
        at, value = max(newer)
        return Base(value, at)
    return Base(row["base"], row["base_at"]) if row["base"] is not None else None


def _same(written: str | None, stands: str | None) -> bool:
    """Is it our value? Of an instant only the day stands there."""
    return written is not None and stands is not None and (written == stands or written[:10] == stands)
