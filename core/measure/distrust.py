"""What reconciliation found that no average, wait or cohort should stand on until somebody has looked: as tables to leave out.

It follows the findings that are open: whoever accepts one ("the amount is right") has it counted again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import ibis
import pyarrow as pa

DISTRUSTED = pa.schema([(name, pa.string()) for name in ("rule", "entity_kind", "entity_id", "part")])
DISORDERED = "dates out of order (T-03)"
STAMPED = "bulk-stamped dates (T-04)"
OUTLIER = "amount to be checked (D-16)"
_RULES = ("T-03", "T-04", "D-16")


def distrusted(findings: pa.Table) -> pa.Table:
    """The open findings that metrics follow (columns: DISTRUSTED), for the fact of that name."""
    columns = ["rule", "entity_kind", "entity_id", "evidence", "status"]
    rows = [row for row in findings.select(columns).to_pylist() if row["rule"] in _RULES and row["status"] == "open"]
    return pa.Table.from_pylist([{**row, "part": json.loads(row["evidence"]).get("part", "")} for row in rows], schema=DISTRUSTED)


@dataclass(frozen=True)
class Distrust:
    """Tables of what to leave out; None where nothing is to be, so that no query grows by it.

    disordered_persons, disordered_deals, outliers: entity_id. stamped: changes (core.relations) that a bulk stamp dated.
    """

    disordered_persons: ibis.Table | None
    disordered_deals: ibis.Table | None
    stamped: ibis.Table | None
    outliers: ibis.Table | None


def distrust(facts: Mapping[str, ibis.Table]) -> Distrust:
    """By the fact `distrusted`; nothing is distrusted where it is not given."""
    if "distrusted" not in facts:
        return Distrust(None, None, None, None)
    t = facts["distrusted"]
    kinds = t.select("rule", "entity_kind").distinct().to_pyarrow().to_pylist()
    there = {(row["rule"], row["entity_kind"]) for row in kinds}

    def named(rule: str, kind: str) -> ibis.Table | None:
        return t.filter(t.rule == rule, t.entity_kind == kind).select("entity_id").distinct() if (rule, kind) in there else None

    deals = named("T-03", "deal")
    stamped = _stamped(facts["changes"], t.filter(t.rule == "T-04")) if ("T-04", "stage") in there else None
    return Distrust(_persons(named("T-03", "person"), deals, facts["deal_person"]), deals, stamped, named("D-16", "deal"))


def _persons(own: ibis.Table | None, deals: ibis.Table | None, deal_person: ibis.Table) -> ibis.Table | None:
    """Those named themselves, and those on a deal that is: from M50 on a person's dates are the deals'."""
    if deals is None:
        return own
    through = deal_person.semi_join(deals.select(deal="entity_id"), "deal").select(entity_id="person")
    return through.distinct() if own is None else ibis.union(own, through).distinct()


def _stamped(changes: ibis.Table, stamps: ibis.Table) -> ibis.Table:
    """T-04 names the stage as account:kind:field/value and its part the minute."""
    c = changes.filter(changes.field.isin(["stage", "lifecycle", "status"]), changes.value.notnull())
    c = c.mutate(stage=c.account.concat(":", c.kind, ":", c.field, "/", c.value))
    c = c.semi_join(stamps.select(stage="entity_id").distinct(), "stage").mutate(minute=lambda x: x.at.strftime("%Y-%m-%dT%H:%MZ"))
    return c.semi_join(stamps.select(stage="entity_id", minute="part"), ["stage", "minute"])


def flagged(t: ibis.Table, flag: str, where: ibis.Table | None, on: tuple[str, ...] = ("entity_id",)) -> ibis.Table:
    """t with a boolean column: does its row stand in `where`?"""
    if where is None:
        return t.mutate(**{flag: ibis.literal(False)})
    known = where.select(*on).distinct().mutate(**{flag: ibis.literal(True)})
    t = t.left_join(known, list(on)).drop(*(f"{name}_right" for name in on))
    return t.mutate(**{flag: t[flag].fill_null(False)})


def left_out(**counted: int) -> dict[str, int]:
    """For a metric's `excluded`: left_out(disordered=2, stamped=0, outlier=1) without the zeros."""
    words = {"disordered": DISORDERED, "stamped": STAMPED, "outlier": OUTLIER}
    return {words[name]: int(n) for name, n in counted.items() if n}
