"""What was won, by quarter: the amounts of deals that are won today, in the quarter they were put down as won.

The forecast's "won so far" counts the same way; a rate by close date counts others where dates and deeds are apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import ibis

from core.measure.exact import total
from core.measure.metric import Metric, Scope, pairs
from core.measure.pipeline import quarter, reporting_currency
from core.measure.spells import wins
from core.tables import instant

QUARTERS = 9


def measure(scope: Scope) -> Iterator[Metric]:
    """Quarters since the first one with a won deal; one without is 0."""
    currency, _ = reporting_currency(scope)
    names = [quarter(scope.as_of.date(), back) for back in range(QUARTERS)]
    w = won(scope).mutate(began=lambda t: t.final_at.truncate("Q").date())
    ours = w.currency.identical_to(ibis.literal(currency, type="string"))
    sums = {"n": (ours & w.final_amount.notnull()).sum(), "value": total(w.final_amount, ours), "other": (~ours).sum()}
    found = {r["began"]: r for r in pairs(w.filter(w.began >= ibis.literal(names[-1][1])).group_by("began").agg(**sums))}
    since = min(found, default=None)
    for name, first, _last in names:
        if since is None or first < since:
            continue
        row = found.get(first, {"n": 0, "value": 0.0, "other": 0})
        excluded = {"in other currencies": row["other"]} if row["other"] else {}
        words = "amount of the deals put down as won in the quarter"
        dims = {"period": name, "currency": currency}
        yield Metric("won_value", words, dims, row["value"] or 0.0, currency or "units", row["n"] or 0, excluded=excluded)


def won(scope: Scope) -> ibis.Table:
    w = wins(scope)
    return w.filter(w.final_at.notnull(), w.final_at <= instant(scope.as_of))


def behind(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    """The deals of a quarter, in the currency."""
    year, q = str(dims["period"]).split("-Q")
    _, first, last = quarter(date(int(year), 3 * int(q), 1))
    w = won(scope)
    w = w.filter(w.final_at.date().between(ibis.literal(first), ibis.literal(last)))
    return w.filter(w.currency.identical_to(ibis.literal(dims["currency"], type="string"))) if "currency" in dims else w
