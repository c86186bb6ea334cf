"""Close dates that move: how much of what was due in a period slipped out of it, and how often deals were pushed."""

from __future__ import annotations

from collections.abc import Iterator

import ibis

from core.measure.metric import Metric, Scope, pairs, share
from core.measure.pipeline import reporting_currency
from core.measure.spells import leaders, positions, values, wins
from core.measure.windows import bounds
from core.tables import instant, keep

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
    return v.group_by("entity_id").agg(
        pushes=later.sum(), pulls=earlier.sum(), push_days=ibis.greatest(days, 0).sum().cast("int64")
    )


def measure(scope: Scope) -> Iterator[Metric]:
    yield from slipped(scope)
    yield from pushed(scope)


def slipped(scope: Scope) -> Iterator[Metric]:
    """Per period: of the amount due in it at its start, what was open at its end with a later close date, and what was won."""
    currency, others = reporting_currency(scope)
    kind = str(scope.choice("forecast_period"))
    spans = [bounds(scope.as_of.date(), kind, back) for back in range(PERIODS, -1, -1)]
    instants = sorted({edge for _, start, after in spans for edge in (start, min(after, scope.as_of)) if edge <= scope.as_of})
    p = positions(scope, instants).filter(lambda t: t.currency.identical_to(ibis.literal(currency, type="string")))
    p = keep(p.select("mark", "entity_id", "amount", "due"))
    undated = _undated(scope)
    for name, start, after in spans:
        first, last = instants.index(start), instants.index(min(after, scope.as_of))
        at_start = p.filter(p.mark == first, p.due >= ibis.literal(start.date()), p.due < ibis.literal(after.date()))
        at_end = p.filter(p.mark == last).select("entity_id", end_due="due")
        t = at_start.left_join(at_end, "entity_id").drop("entity_id_right")
        w = wins(scope)
        w = w.filter(w.won_at > instant(start), w.won_at <= instant(min(after, scope.as_of))).select("entity_id", won_at="won_at")
        t = t.left_join(w, "entity_id").drop("entity_id_right")
        slid = (t.end_due >= ibis.literal(after.date())).fill_null(False)
        row = pairs(
            t.agg(n=t.count(), due=t.amount.sum(), slipped=t.amount.sum(where=slid), times=slid.sum(),
                  won=t.amount.sum(where=t.won_at.notnull()))
        )[0]  # fmt: skip
        dims = {"period": name, "currency": currency}
        excluded = {**others, **undated, **({"period": "not over yet"} if after > scope.as_of else {})}
        due = row["due"] or 0.0
        for metric, part, words in (
            ("slippage", row["slipped"] or 0.0, "amount due in the period at its start that is open at its end and due later ÷ all due at its start"),
            ("due_won", row["won"] or 0.0, "amount due in the period at its start that was won in it ÷ all due at its start"),
        ):
            value = part / due if due else None
            yield Metric(metric, words, dims, value, "share", row["n"], part, due, excluded=excluded)


def _undated(scope: Scope) -> dict[str, int]:
    """Deals without a history of close dates: they never seem to slip."""
    with_history = values(scope, "close_date").select("entity_id").distinct()
    n = int(leaders(scope).anti_join(with_history, "entity_id").count().execute())
    return {"no history of close dates: never seen to move": n} if n else {}


def pushed(scope: Scope) -> Iterator[Metric]:
    d = leaders(scope).filter(lambda t: t.outcome == "open").left_join(pushes(scope), "entity_id")
    row = pairs(
        d.agg(n=d.count(), once=(d.pushes >= 1).sum(), twice=(d.pushes >= 2).sum(), times=d.pushes.sum(), pulls=d.pulls.sum(), days=d.push_days.sum())
    )[0]  # fmt: skip
    excluded = _undated(scope)
    for name, part in (("1", row["once"]), ("2", row["twice"])):
        words = "open deals pushed to a later period so often or more ÷ open deals"
        yield share("pushed", words, {"times": name}, part or 0, row["n"], excluded=excluded)
    for name, words in (("times", "moves of open deals' close dates to a later period"), ("pulls", "… to an earlier period"),
                        ("days", "days by which open deals' close dates were put off")):  # fmt: skip
        yield Metric("close_date_moves", words, {"what": name}, row[name] or 0, "days" if name == "days" else "count", row["n"],
                     excluded=excluded)  # fmt: skip
