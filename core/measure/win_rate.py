"""Win rate by close date, of deals and of amounts; and how late losses are entered, which makes the newest periods look better.

Amounts are those at the entry of the last open stage: people set the amount of a lost deal to nothing, and that of a won one to what
was signed. Only where no history says it, today's amount stands in.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

import ibis

from core.measure.durations import kaplan_meier
from core.measure.exact import total
from core.measure.metric import Metric, Scope, pairs, share
from core.measure.pipeline import closed_in, no_close_date, quarter, reporting_currency, window
from core.measure.spells import LOST, WON, held, leaders, stays, values
from core.tables import MOMENT, days_between, keep

BLANK = 0.5  # with more of the lost deals without an amount a rate by value would say nothing
LATE = 7  # days after which a loss counts as entered late
_ENDS = {WON: ("M80", "M90", "M95"), LOST: ("M85",)}


def measure(scope: Scope) -> Iterator[Metric]:
    currency, _ = reporting_currency(scope)
    last = scope.as_of.date()
    periods = {f"last {scope.choice('window_days')} days": window(scope)}
    periods |= {name: (first, end) for name, first, end in (quarter(last, back) for back in range(4))}
    delays = lags(scope)
    slowest = _limit(delays)
    undated = no_close_date(scope)
    quoted = scope.once("last open amount", lambda: keep(last_open(scope)))
    for name, (first, end) in periods.items():
        young = slowest is not None and slowest >= LATE and min(end, last) + timedelta(days=int(slowest)) >= last
        alarm = {"losses come late": f"(nine of ten within {int(slowest or 0)} days): rather too high"} if young else {}
        yield from _win_rate(closed_in(scope, first, min(end, last)), quoted, name, currency, alarm, undated)
    yield from _lags(delays)


def last_open(scope: Scope) -> ibis.Table:
    """(entity_id, quoted, quoted_in): of deals that closed, the amount at the entry of the last stage they were open in, where a history
    says it, and the currency of the record whose history it is: a deal without an amount has none."""
    s = stays(scope)
    s = s.filter(s.to.isin([WON, LOST]))
    t = s.group_by("entity_id").agg(entered_at=s.since.argmax(s.order))
    t = held(t, values(scope, "amount"), "entered_at", "quoted").filter(lambda t: t.quoted > 0).select("entity_id", "quoted")
    key = ["entity_id", "account", "resource", "vendor_id"]
    told = scope.facts["deals"].select(*key, quoted_in="currency").semi_join(leaders(scope), key)
    return t.inner_join(told, "entity_id").select("entity_id", "quoted", "quoted_in")


def _win_rate(
    closed: ibis.Table, quoted: ibis.Table, period: str, currency: str | None, alarm: Mapping[str, Any], undated: Mapping[str, int]
) -> Iterator[Metric]:
    t = closed.left_join(quoted, "entity_id").drop("entity_id_right")
    amount = ibis.coalesce(t.quoted, t.amount.cast("float64"))
    same = t.currency.identical_to(ibis.literal(currency, type="string"))
    won, ours = t.outcome == WON, ibis.coalesce(t.quoted_in, t.currency).identical_to(ibis.literal(currency, type="string"))
    t = t.mutate(money=amount, won=won, ours=ours & (amount > 0).fill_null(False))
    row = pairs(
        t.agg(
            n=t.count(), won=t.won.sum(), won_value=total(t.money, t.won & t.ours), lost_value=total(t.money, ~t.won & t.ours),
            booked=total(t.amount, t.won & same), foreign=(t.won & t.amount.notnull() & ~same).sum(),
            priced=t.ours.sum(), lost_priced=(~t.won & t.ours).sum(), 
            other=((t.money > 0) & ~ours).sum(),
        )
    )[0]  # fmt: skip
    booked = "amount of the deals won in the period, by close date"
    dims = {"period": period, "currency": currency}
    foreign = int(row["foreign"] or 0)
    left = {"deals in other currencies": foreign} if foreign else {}
    left |= {"won without a close date": undated[WON]} if undated.get(WON) else {}
    yield Metric("won_value", booked, dims, row["booked"] or 0.0, currency or "units", int(row["won"] or 0), excluded=left)
    alarm = {**alarm, **({"no close date": sum(undated.values())} if undated else {})}
    words = "won ÷ (won + lost) by close date"
    n, n_won, other = int(row["n"]), int(row["won"] or 0), int(row["other"] or 0)
    yield share("win_rate", words, {"by": "count", "period": period}, n_won, n, excluded=alarm)
    won_value, lost_value, lost = row["won_value"] or 0.0, row["lost_value"] or 0.0, n - n_won
    whole, priced, lost_priced = won_value + lost_value, int(row["priced"] or 0), int(row["lost_priced"] or 0)
    why = _not_computable(lost, lost_priced)
    excluded: dict[str, Any] = {"in other currencies": other} if other else {}
    excluded |= {"no amount when it was last open, and none today": n - priced - other} if n > priced + other else {}
    excluded |= {"not computable": why} if why else {}
    said = f"{words}, by the amount at the entry of the last open stage"
    value = won_value / whole if whole > 0 and not why else None
    dims = {"by": "value", "period": period, "currency": currency}
    yield Metric("win_rate", said, dims, value, "share", priced, won_value, whole, excluded={**excluded, **alarm})


def _not_computable(lost: int, priced: int) -> str:
    if not lost or priced > lost * (1 - BLANK):
        return ""
    return "no lost deal has an amount" if not priced else f"only {priced} of {lost} lost deals have an amount"


# -- losses that are entered late -----------------------------------------------------------------------------------------
def lags(scope: Scope) -> list[dict[str, Any]]:
    """(outcome, days, n): of deals closed in the window, days from their close date to when they were put down as closed."""
    return pairs(lagging(scope).group_by("outcome", "days").agg(n=lambda t: t.count()).order_by("outcome", "days"))


def lagging(scope: Scope) -> ibis.Table:
    """(entity_id, outcome, days) of the deals whose history says when they were put down as closed; none is earlier than its date."""
    d = closed_in(scope, *window(scope)).select("entity_id", "outcome", "close_date")
    s = stays(scope)
    s = s.filter(s.to.isin([WON, LOST]), s.sound)
    entered = s.group_by("entity_id", outcome="to").agg(entered_at=s.until.max())
    c = scope.facts["changes"]
    told = c.filter(c.kind == "deal", c.field == "stage", c.code.isin([code for codes in _ENDS.values() for code in codes]))
    d = d.semi_join(told, "entity_id").inner_join(entered, ["entity_id", "outcome"])
    days = days_between(d.close_date.cast(MOMENT), d.entered_at).floor().cast("int64")
    return d.mutate(days=ibis.greatest(days, 0)).select("entity_id", "outcome", "days")


def _limit(rows: list[dict[str, Any]]) -> float | None:
    curve = kaplan_meier([(float(r["days"]), 1, int(r["n"])) for r in rows if r["outcome"] == LOST])
    return curve.quantile(0.9)[0] if curve.n else None


def _lags(rows: list[dict[str, Any]]) -> Iterator[Metric]:
    for outcome in (LOST, WON):
        mine = [(float(r["days"]), 1, int(r["n"])) for r in rows if r["outcome"] == outcome]
        curve = kaplan_meier(mine)
        words = "days from the close date until the deal was put down as closed"
        for label, q in (("median", 0.5), ("p90", 0.9)):
            value = curve.quantile(q)[0] if curve.n else None
            yield Metric("close_lag", words, {"outcome": outcome, "quantile": label}, value, "days", curve.n)
        late = sum(n for days, _, n in mine if days > LATE)
        words = f"deals put down as closed more than {LATE} days after their close date ÷ deals with such a history"
        yield share("closed_late", words, {"outcome": outcome}, late, curve.n)


def behind(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    """The deals of a period's win rate."""
    period = str(dims.get("period", ""))
    if "-Q" in period:
        year, q = period.split("-Q")
        _, first, last = quarter(date(int(year), 3 * int(q), 1))
        return closed_in(scope, first, min(last, scope.as_of.date()))
    return closed_in(scope, *window(scope))


def late(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    t = lagging(scope)
    return t.filter(t.outcome == dims["outcome"], t.days > LATE)


def won(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    t = behind(scope, dims)
    return t.filter(t.outcome == WON)
