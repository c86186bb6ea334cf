"""Where the won ones came from: lead source of persons, and of the deals they became, by the funnel's `source_groups`."""

from __future__ import annotations

from collections.abc import Iterator

import ibis

from core.measure.exact import total
from core.measure.metric import Metric, Scope, pairs, share
from core.measure.pipeline import reporting_currency
from core.measure.touch_names import group
from core.tables import sortable

UNKNOWN = "(unknown)"
# What became of a person: the first that holds.
OUTCOMES = {
    "won": "persons of the source who ever won, whatever came later", "open deal": "persons of the source with an open deal",
    "lost deal": "persons of the source whose deals are all lost", "disqualified": "persons of the source put aside before any deal",
    "qualified": "persons of the source at MQL or further, without a deal", "before MQL": "persons of the source before MQL",
}  # fmt: skip


def measure(scope: Scope) -> Iterator[Metric]:
    yield from source_to_won(scope)
    yield from source_value(scope)


def source_to_won(scope: Scope) -> Iterator[Metric]:
    """Persons by their earliest known source, the share of them that ever got to an opportunity and to won, and what became of them."""
    p = scope.persons
    became = outcome(p)
    rows = pairs(
        p.group_by(source=group(scope, p.source))
        .agg(n=p.count(), sqo=(p.furthest_stage >= "M50").sum(), **{name: (became == name).sum() for name in OUTCOMES})
        .order_by("source")
    )
    for row in rows:
        dims = {"source": row["source"]}
        yield Metric("source_persons", "persons whose earliest source this is", dims, row["n"], "persons", row["n"])
        yield share("source_to_opportunity", "persons of the source with an opportunity ÷ its persons", dims, row["sqo"] or 0, row["n"])
        yield share("source_to_won", "persons of the source with a won deal ÷ its persons", dims, row["won"] or 0, row["n"])
        for name, words in OUTCOMES.items():
            yield Metric("source_outcome", words, {**dims, "outcome": name}, row[name] or 0, "persons", row["n"])


def outcome(p: ibis.Table) -> ibis.Value:
    """What became of each person: a key of OUTCOMES. `furthest_stage` is on the ladder, which sorts by its codes."""
    reached = p.furthest_stage.fill_null("")
    return ibis.cases(
        (reached >= "M80", "won"), (p.open_deals > 0, "open deal"), (p.lost_deals > 0, "lost deal"), (p.off_ladder, "disqualified"),
        (reached >= "M30", "qualified"), else_="before MQL",
    )  # fmt: skip


def source_of(source: ibis.Value) -> ibis.Value:
    return source.strip().lower().nullif("").fill_null(UNKNOWN)


def deals_with_source(scope: Scope) -> ibis.Table:
    """Deals with `origin`: their own source, in its own word, else that of the person on them who was known first."""
    d, pairs_ = scope.facts["deal"], scope.facts["deal_person"]
    p = scope.facts["person"].filter(lambda t: t.source.notnull()).select("source", "created_at", person="entity_id")
    first = pairs_.inner_join(p, "person")
    known = sortable(first.created_at).concat(first.person)
    first = first.group_by(entity_id="deal").agg(person_source=first.source.argmin(known))
    joined = d.left_join(first, "entity_id").drop("entity_id_right")
    return joined.mutate(origin=source_of(ibis.coalesce(joined.source, joined.person_source)))


def source_value(scope: Scope) -> Iterator[Metric]:
    currency, others = reporting_currency(scope)
    d = deals_with_source(scope)
    ours = d.currency.identical_to(ibis.literal(currency, type="string"))
    rows = pairs(
        d.group_by(origin=group(scope, d.origin))
        .agg(won=total(d.amount, ours & (d.outcome == "won")), open=total(d.amount, ours & (d.outcome == "open")),
             n_won=(d.outcome == "won").sum(), n_open=(d.outcome == "open").sum())
        .order_by("origin")
    )  # fmt: skip
    for row in rows:
        dims = {"source": row["origin"], "currency": currency}
        for name, kind in (("source_won_value", "won"), ("source_open_value", "open")):
            words, value, n = f"amount of {kind} deals of the source", row[kind] or 0.0, row[f"n_{kind}"]
            yield Metric(name, words, dims, value, currency or "units", n, excluded=others)
