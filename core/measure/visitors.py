"""Visitors: whom web analytics counts before anybody has a name. The funnel begins with them, though another system counts them.

Users of days do not add up to users of a month: who comes twice is one. So a month is the number the vendor gives of it; where it gives
none, the sum of its days says that it is a sum. Vendors' marks (sampled, thresholded, …) come with the report a number names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import ibis

from core.measure.exact import total
from core.measure.metric import Metric, Scope, pairs
from core.measure.touch_names import group
from core.measure.windows import period
from core.rules.experiments_known import part

CROSS_SYSTEM = {"cross-system": "(leads of the CRM ÷ users of web analytics)"}
_SEVERAL = {
    "months": "(who came in several counts in each)",
    "days": "(who came on several counts on each)",
    "properties": "(who visits several counts at each)",
}


@dataclass(frozen=True)
class Counted:
    """The visitors of one month at one account, of all channels ("") or of one. `days`: so many added up; 0: the vendor's own number."""

    account: str
    resource: str
    measure: str
    month: str
    users: float
    days: int = 0
    dimension: str = ""
    channel: str = ""

    @property
    def key(self) -> dict[str, str]:
        """What its rows among `tallies` have in common."""
        names = ("account", "resource", "measure", "month", "dimension", "channel")
        return {**{name: getattr(self, name) for name in names}, "period": "day" if self.days else "month"}


def spans(scope: Scope) -> list[tuple[str, date, date]]:
    """(name, first day, last day) of the last whole months, the earliest first (`funnel_months` many, at least one)."""
    return [period(scope.as_of.date(), "month", back) for back in range(max(1, int(scope.choice("funnel_months"))), 0, -1)]


def visitors(scope: Scope) -> tuple[Counted, ...]:
    """By month, account and channel."""
    return scope.once("visitors", lambda: _visitors(scope))


def _visitors(scope: Scope) -> tuple[Counted, ...]:
    t = tallies(scope)
    by = ("account", "resource", "measure", "period", "month", "dimension", "channel")
    rows = pairs(t.group_by(*by).agg(users=total(t.value), days=t.day.nunique()).order_by(*by))
    order = [str(name) for name in scope.choice("visitor_channels")]
    found: list[Counted] = []
    for account in dict.fromkeys(r["account"] for r in rows):
        mine = _of_one_measure(scope, [r for r in rows if r["account"] == account])
        found += _months([r for r in mine if not r["dimension"]])
        parts = [r for r in mine if r["dimension"] and r["period"] == "month"]
        chosen = min(((order.index(r["dimension"]), r["resource"]) for r in parts), default=None)
        found += [_counted(r) for r in parts if (order.index(r["dimension"]), r["resource"]) == chosen]
    return tuple(sorted(found, key=lambda c: (c.month, c.account, c.channel)))


def tallies(scope: Scope) -> ibis.Table:
    """The counts of visitors in the last whole months: account, resource, vendor_id, measure, value, day, month, period (of what the
    number is), dimension and channel, in the funnel's words for sources ("": of all)."""
    t, months = scope.facts["tallies"], spans(scope)
    t = t.filter(t.measure.isin([str(name) for name in scope.choice("visitor_measures")]), ~t.deleted.fill_null(False), t.value.notnull())
    t = t.filter(t.day >= ibis.literal(months[0][1]), t.day <= ibis.literal(months[-1][2]))
    said = t.dimensions.fill_null("")
    found = {str(name): said.re_extract(f'^."{name}":"([^"]+)".$', 1).nullif("") for name in scope.choice("visitor_channels")}
    named = [(value.notnull(), ibis.literal(name)) for name, value in found.items()]
    channel = ibis.coalesce(*found.values(), "")
    t = t.mutate(
        period=part(t, "period"), month=t.day.strftime("%Y-%m"), channel=ibis.ifelse(channel == "", "", group(scope, channel)),
        dimension=ibis.cases((said.isin(["", "{}"]), ibis.literal("")), *named, else_="other"),
    )  # fmt: skip
    t = t.filter(t.period.isin(["month", "day"]), t.dimension != "other")
    return t.select("account", "resource", "vendor_id", "measure", "value", "day", "month", "period", "dimension", "channel")


def _of_one_measure(scope: Scope, rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    wanted = [str(name) for name in scope.choice("visitor_measures")]
    chosen = min((r["measure"] for r in rows), key=wanted.index)
    return [r for r in rows if r["measure"] == chosen]


def _months(rows: Sequence[Mapping[str, Any]]) -> list[Counted]:
    """One number a month: the vendor's own, else the sum of the days, from the report that has most of them."""
    best: dict[str, Counted] = {}
    for r in sorted(rows, key=lambda r: (r["period"] != "month", -r["days"], r["resource"])):
        best.setdefault(r["month"], _counted(r))
    return list(best.values())


def _counted(r: Mapping[str, Any]) -> Counted:
    names = ("account", "resource", "measure", "month", "users", "dimension", "channel")
    return Counted(**{name: r[name] for name in names}, days=r["days"] if r["period"] == "day" else 0)


# -- numbers --------------------------------------------------------------------------------------------------------------
def by_month(scope: Scope, leads: Mapping[str, int]) -> Iterator[Metric]:
    """Visitors of each month, and the leads there were for them. leads: by month."""
    known = [c for c in visitors(scope) if not c.channel]
    for c in known:
        words = f"users of the month, as web analytics counts them ({c.measure})"
        yield Metric("visitors", words, {"month": c.month, "account": c.account}, c.users, "users", int(c.users), excluded=added_up([c]))
    for month in dict.fromkeys(c.month for c in known):
        yield leads_per_visitor({"month": month}, leads.get(month, 0), [c for c in known if c.month == month])


def by_channel(scope: Scope, leads: Mapping[tuple[str, str], int]) -> Iterator[Metric]:
    """The same of each channel, in all months it was counted in. leads: by month and channel, in the funnel's words for sources."""
    known = [c for c in visitors(scope) if c.channel]
    months = {c.month for c in known}
    for channel in dict.fromkeys(c.channel for c in sorted(known, key=lambda c: c.channel)):
        mine = [c for c in known if c.channel == channel]
        users = sum(c.users for c in mine)
        words = f"users by the channel of their first visit or visits ({mine[0].dimension})"
        yield Metric("visitors_by_channel", words, {"channel": channel}, users, "users", int(users), excluded=added_up(mine, months))
        came = sum(n for (month, of), n in leads.items() if of == channel and month in months)
        yield leads_per_visitor({"channel": channel}, came, mine, months)


def leads_per_visitor(dims: Mapping[str, Any], leads: int, counted: Sequence[Counted], months: Collection[str] = ()) -> Metric:
    """No interval: leads are no part of the visitors."""
    whole = sum(c.users for c in counted)
    words = "leads of the CRM ÷ visitors of web analytics in the same months"
    excluded = {**CROSS_SYSTEM, **added_up(counted, months)}
    value = leads / whole if whole else None
    return Metric("visitor_to_lead", words, dims, value, "ratio", int(whole), leads, whole, excluded=excluded)


def added_up(counted: Sequence[Counted], months: Collection[str] = ()) -> dict[str, Any]:
    """What was added up for a number, as it must say, and whose counts it is made of. months: also those in which nobody came."""
    accounts, days = {c.account for c in counted}, sum(c.days for c in counted)
    sizes = {"months": len({*months, *(c.month for c in counted)}), "properties": len(accounts), "days": days}
    said: dict[str, Any] = {f"sum of {n} {what}": _SEVERAL[what] for what, n in sizes.items() if n > 1}
    return {**said, "counted by": ", ".join(dict.fromkeys(f"{c.account} {c.resource}" for c in counted))}


def behind(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    """The counts (as `tallies` has them) that a number of visitors is made of."""
    told = [c for c in visitors(scope) if bool(c.channel) == ("channel" in dims)]
    keys = [c.key for c in told if all(getattr(c, name) == dims[name] for name in ("month", "account", "channel") if name in dims)]
    t = tallies(scope)
    return t.semi_join(ibis.memtable(keys), list(keys[0])) if keys else t.limit(0)
