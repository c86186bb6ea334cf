"""How the open pipeline got from one day's amount to another's: every deal that made a difference stands in exactly one bucket.

start + new + up + moved in − moved out − lost − down − won = end, to the cent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import ibis

from core.measure.exact import total
from core.measure.metric import Metric, Scope, pairs
from core.measure.pipeline import reporting_currency
from core.measure.spells import LOST, WON, leaders, positions, stays, wins
from core.measure.windows import bounds
from core.tables import instant, keep

# What a bucket does to the amount, in the order they are shown.
SIGNS = {"new": 1, "up": 1, "moved in": 1, "moved out": -1, "lost": -1, "down": -1, "won": -1}
WORDS = {
    "start": "open and due in the period on the first day", "new": "created since", "up": "amount raised",
    "moved in": "close date moved into the period, or opened again", "moved out": "close date moved out of the period",
    "lost": "lost since", "down": "amount lowered", "won": "won since", "end": "open and due in the period on the last day",
}  # fmt: skip


def measure(scope: Scope) -> Iterator[Metric]:
    since, until = span(scope)
    currency, others = reporting_currency(scope)
    deals = keep(between(scope, since, until, currency))
    name, first, after = bounds(until.date(), str(scope.choice("forecast_period")))
    excluded = {**others, **_undated(deals)}
    for due, here in ((name, (first, after)), ("any", None)):
        found = totals(pairs(sums(bucketed(_inside(deals, here)))))
        dims = {"from": f"{since:%Y-%m-%d}", "to": f"{until:%Y-%m-%d}", "due": due, "currency": currency}
        dims["span"] = f"{dims['from']} to {dims['to']}, {'all' if here is None else f'due in {due}'}"
        for bucket, words in WORDS.items():
            amount, n = found[bucket]
            yield Metric("waterfall", words, {**dims, "bucket": bucket}, amount, currency or "units", n, excluded=excluded)
    yield from _stage_moves(deals, since, until, excluded)
    yield _in_between(scope, since, until, currency)


def span(scope: Scope) -> tuple[datetime, datetime]:
    """The two instants: as asked for, else from the start of the current period until now."""
    if scope.span is not None:
        return scope.span
    return bounds(scope.as_of.date(), str(scope.choice("forecast_period")))[1], scope.as_of


def between(scope: Scope, since: datetime, until: datetime, currency: str | None) -> ibis.Table:
    """Deals open at one of the instants: entity_id, amount_0/1 (cents), due_0/1, code_0/1 (null: not open), born, ended (won, lost)."""
    p = positions(scope, [since, until])
    p = p.filter(p.currency.identical_to(ibis.literal(currency, type="string")) | p.amount.isnull())
    cents = (p.amount.fill_null(0.0) * 100).round().cast("int64")
    t = p.group_by("entity_id").agg(
        **{f"amount_{i}": cents.max(where=p.mark == i) for i in (0, 1)},
        **{f"due_{i}": p.due.max(where=p.mark == i) for i in (0, 1)},
        **{f"code_{i}": p.code.max(where=p.mark == i) for i in (0, 1)},
        dated=p.amount_dated.all() & p.due_dated.all(),
    )
    s = stays(scope)
    s = s.filter(s.until.notnull(), s.until > instant(since), s.until <= instant(until), s.to.isin([WON, LOST]))
    last = s.group_by("entity_id").agg(ended=s.to.argmax(s.order))
    born = stays(scope).group_by("entity_id").agg(seen=stays(scope).since.min())
    t = t.left_join(last, "entity_id").drop("entity_id_right").left_join(born, "entity_id").drop("entity_id_right")
    t = t.left_join(leaders(scope).select("entity_id", "created_at"), "entity_id").drop("entity_id_right")
    return t.mutate(born=ibis.coalesce(t.created_at, t.seen) > instant(since)).drop("seen", "created_at")


def _inside(deals: ibis.Table, here: tuple[datetime, datetime] | None) -> ibis.Table:
    """With in_0 and in_1: is the deal in the pipeline that is looked at, on the first and on the last day?"""
    inside = {}
    for i in (0, 1):
        there = deals[f"code_{i}"].notnull()
        if here is not None:
            due = deals[f"due_{i}"]
            there = there & ((due >= ibis.literal(here[0].date())) & (due < ibis.literal(here[1].date()))).fill_null(False)
        inside[f"in_{i}"] = there
    return deals.mutate(**inside)


def bucketed(t: ibis.Table) -> ibis.Table:
    """t with `bucket` and `change` (cents, what it does to the amount); null and 0 for deals that make no difference.

    Needs in_0, in_1, amount_0, amount_1 (cents), ended (won, lost or null), born (created since?).
    """
    zero, one = t.amount_0.fill_null(0), t.amount_1.fill_null(0)
    gone, came = t.in_0 & ~t.in_1, ~t.in_0 & t.in_1
    bucket = ibis.cases(
        (gone & t.code_1.isnull() & (t.ended == WON).fill_null(False), "won"),
        (gone & t.code_1.isnull() & (t.ended == LOST).fill_null(False), "lost"),
        (gone, "moved out"),
        (came & ~t.born, "moved in"),
        (came, "new"),
        (t.in_0 & t.in_1 & (one > zero), "up"),
        (t.in_0 & t.in_1 & (one < zero), "down"),
        else_=ibis.null("string"),
    )
    change = ibis.ifelse(t.in_1, one, 0) - ibis.ifelse(t.in_0, zero, 0)
    return t.mutate(bucket=bucket, change=change, start=ibis.ifelse(t.in_0, zero, 0), end=ibis.ifelse(t.in_1, one, 0))


def sums(t: ibis.Table) -> ibis.Table:
    """Deals and cents by bucket (null: those that make no difference), of what `bucketed` made."""
    return t.group_by("bucket").agg(
        n=t.count(), change=t.change.sum(), start=t.start.sum(), end=t.end.sum(), n_0=t.in_0.sum(), n_1=t.in_1.sum()
    )


def totals(rows: Sequence[Mapping[str, Any]]) -> dict[str, tuple[float, int]]:
    """(amount, deals) of start, each bucket and end, from the rows of `sums`. A bucket's amount is never below 0.

    Raises: AssertionError when the buckets do not add up, which is a bug.
    """
    cents = {r["bucket"]: (SIGNS[r["bucket"]] * int(r["change"]), int(r["n"])) for r in rows if r["bucket"]}
    start, end = (sum(int(r[name] or 0) for r in rows) for name in ("start", "end"))
    said = {name: cents.get(name, (0, 0)) for name in SIGNS}
    if closing(start, {name: amount for name, (amount, _) in said.items()}) != end:
        raise AssertionError(f"a waterfall that does not add up: {start} {said} {end}")
    counted = {"start": (start, sum(int(r["n_0"]) for r in rows)), **said, "end": (end, sum(int(r["n_1"]) for r in rows))}
    return {name: (amount / 100, n) for name, (amount, n) in counted.items()}


def closing(start: int, buckets: Mapping[str, int]) -> int:
    """What is there in the end."""
    return start + sum(sign * buckets.get(name, 0) for name, sign in SIGNS.items())


def _undated(deals: ibis.Table) -> dict[str, int]:
    n = int(deals.filter(~deals.dated).count().execute())
    return {"no history of amount or close date: today's on both days": n} if n else {}


def _stage_moves(deals: ibis.Table, since: datetime, until: datetime, excluded: Mapping[str, Any]) -> Iterator[Metric]:
    """Deals open on both days, by where they stand: this is beside the amounts."""
    both = deals.filter(deals.code_0.notnull(), deals.code_1.notnull())
    row = pairs(both.agg(n=both.count(), forward=(both.code_1 > both.code_0).sum(), back=(both.code_1 < both.code_0).sum()))[0]
    dims = {"from": f"{since:%Y-%m-%d}", "to": f"{until:%Y-%m-%d}"}
    for move in ("forward", "back"):
        n = row[move] or 0
        words = "deals open on both days that stand further on, or further back"
        yield Metric("waterfall_moves", words, {**dims, "move": move}, n, "deals", row["n"], excluded=excluded)


def _in_between(scope: Scope, since: datetime, until: datetime, currency: str | None) -> Metric:
    """What neither day shows: in no bucket, because it was not there on the first day and is not on the last."""
    w = wins(scope)
    w = w.filter(w.currency.identical_to(ibis.literal(currency, type="string")), w.created_at > instant(since))
    w = w.filter(w.won_at > instant(since), w.won_at <= instant(until))
    row = pairs(w.agg(n=w.count(), amount=total(w.won_amount)))[0]
    words = "created and won between the two days: beside the waterfall, in no bucket of it"
    dims = {"from": f"{since:%Y-%m-%d}", "to": f"{until:%Y-%m-%d}", "currency": currency}
    return Metric("waterfall_in_between", words, dims, row["amount"] or 0.0, currency or "units", row["n"])


def behind(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    """The deals behind one bucket."""
    since, until = span(scope)
    currency, _ = reporting_currency(scope)
    deals = between(scope, since, until, currency)
    name, first, after = bounds(until.date(), str(scope.choice("forecast_period")))
    t = bucketed(_inside(deals, (first, after) if dims.get("due", "any") == name else None))
    at_edge: Sequence[str] = ("start", "end")
    if dims["bucket"] in at_edge:
        return t.filter(t.in_0 if dims["bucket"] == "start" else t.in_1)
    return t.filter(t.bucket == dims["bucket"])
