"""Close dates that move: how much of what was due in a period slipped out of it, and how often deals were pushed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import ibis

from core.measure.exact import total
from core.measure.metric import Metric, Scope, pairs, share
from core.measure.pipeline import reporting_currency
from core.measure.spells import leaders, positions, values, wins
from core.measure.windows import bounds
from core.tables import MOMENT, keep

PERIODS = 4


def pushes(scope: Scope) -> ibis.Table:
    """(entity_id, pushes, pulls, push_days) of deals whose close date ever moved: to a later period, to an earlier one, days in all."""
    return scope.once("pushes", lambda: keep(_pushes(scope)))


def _pushes(scope: Scope) -> ibis.Table:
    v = values(scope, "close_date").filter(lambda t: t.value.notnull())
    v = v.mutate(before=v.value.lag().over(group_by="entity_id", order_by=["since", "ended"])).filter(lambda t: t.before.notnull())
    unit = "Q" if scope.choice("forecast_period") == "quarter" else "M"
    later, earlier = v.value.truncate(unit) > v.before.truncate(unit), v.value.truncate(unit) < v.before.truncate(unit)
    days = v.value.epoch_days() - v.before.epoch_days()
    return v.group_by("entity_id").agg(pushes=later.sum(), pulls=earlier.sum(), push_days=ibis.greatest(days, 0).sum().cast("int64"))


def measure(scope: Scope) -> Iterator[Metric]:
    yield from slipped(scope)
    yield from pushed(scope)


def slipped(scope: Scope) -> Iterator[Metric]:
    """Per period: of the amount due in it at its start, what was open at its end with a later close date, and what was won."""
    currency, others = reporting_currency(scope)
    kind = str(scope.choice("forecast_period"))
    spans = [bounds(scope.as_of.date(), kind, back) for back in range(PERIODS, -1, -1)]
    spans = [(name, start, after) for name, start, after in spans if start < scope.as_of]
    edges = [start for _, start, _ in spans] + [scope.as_of if spans[-1][2] > scope.as_of else spans[-1][2]]
    rows = {r["mark"]: r for r in pairs(_of_periods(scope, edges, [after for _, _, after in spans], currency))}
    undated = _undated(scope)
    for mark, (name, _, after) in enumerate(spans):
        row = rows.get(mark, {"n": 0, "due": 0.0, "slipped": 0.0, "won": 0.0})
        dims = {"period": name, "currency": currency}
        excluded = {**others, **undated, **({"period": "not over yet"} if after > scope.as_of else {})}
        due = row["due"] or 0.0
        for metric, key, said in (("slippage", "slipped", "open at its end and due later"), ("due_won", "won", "won in it")):
            part = row[key] or 0.0
            words = f"amount due in the period at its start that was {said} ÷ all due at its start"
            yield Metric(metric, words, dims, part / due if due else None, "share", row["n"], part, due, excluded=excluded)


def _of_periods(scope: Scope, edges: Sequence[datetime], after: Sequence[datetime], currency: str | None) -> ibis.Table:
    """(mark, n, due, slipped, won): period by period; `edges` are their starts and the end of the last, `after` the starts of the next."""
    p = positions(scope, edges).filter(lambda t: t.currency.identical_to(ibis.literal(currency, type="string")))
    p = keep(p.select("mark", "entity_id", "amount", "due"))
    t = p.filter(p.mark < len(after))
    start, end = (ibis.cases(*[(t.mark == i, ibis.literal(d.date())) for i, d in enumerate(ds)]) for ds in (edges[:-1], after))
    t = t.filter(t.due >= start, t.due < end)
    t = t.left_join(p.select("entity_id", mark=p.mark - 1, then="due"), ["entity_id", "mark"]).drop("entity_id_right", "mark_right")
    t = t.left_join(wins(scope).select("entity_id", "won_at"), "entity_id").drop("entity_id_right")
    since, until, end = (
        ibis.cases(*[(t.mark == i, ibis.literal(d, type=MOMENT)) for i, d in enumerate(ds)]) for ds in (edges[:-1], edges[1:], after)
    )
    slid = (t.then >= end.date()).fill_null(False)
    won = ((t.won_at > since) & (t.won_at <= until)).fill_null(False)
    return t.group_by("mark").agg(n=t.count(), due=total(t.amount), slipped=total(t.amount, slid), won=total(t.amount, won))


def _undated(scope: Scope) -> dict[str, int]:
    """Deals without a history of close dates: they never seem to slip."""
    with_history = values(scope, "close_date").select("entity_id").distinct()
    n = int(leaders(scope).anti_join(with_history, "entity_id").count().execute())
    return {"no history of close dates: never seen to move": n} if n else {}


def pushed(scope: Scope) -> Iterator[Metric]:
    d = leaders(scope).filter(lambda t: t.outcome == "open").left_join(pushes(scope), "entity_id")
    row = pairs(
        d.agg(n=d.count(), once=(d.pushes >= 1).sum(), twice=(d.pushes >= 2).sum(), times=d.pushes.sum(), pulls=d.pulls.sum(),
              days=d.push_days.sum())
    )[0]  # fmt: skip
    excluded = _undated(scope)
    for name, part in (("1", row["once"]), ("2", row["twice"])):
        words = "open deals pushed to a later period so often or more ÷ open deals"
        yield share("pushed", words, {"times": name}, part or 0, row["n"], excluded=excluded)
    for name, words in (("times", "moves of open deals' close dates to a later period"), ("pulls", "… to an earlier period"),
                        ("days", "days by which open deals' close dates were put off")):  # fmt: skip
        yield Metric("close_date_moves", words, {"what": name}, row[name] or 0, "days" if name == "days" else "count", row["n"],
                     excluded=excluded)  # fmt: skip
