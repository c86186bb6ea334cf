"""The pipeline board: the largest open deals of each stage, as a report shows them."""

from __future__ import annotations

from typing import Any

import ibis

from core.measure.metric import Scope, pairs
from core.measure.pipeline import open_deals
from core.pipeline import Understanding
from jobs.show_private import without_people

CARDS = 5  # of a stage


def board(found: Understanding, funnel: Any) -> list[dict[str, Any]]:
    """{stage, entity_id, name, amount, currency, days, close_date, late, n}: by stage, the largest first; n deals are in the stage."""
    if "deal" not in found.facts:
        return []
    d = open_deals(Scope(found.facts, funnel, found.as_of))
    d = d.mutate(board_stage=d.pipeline_stage.fill_null("(unmapped)"), money=d.amount.cast("float64"))
    by_stage = ibis.window(group_by="board_stage", order_by=[d.money.desc(nulls_first=False), d.entity_id])
    d = d.mutate(place=ibis.row_number().over(by_stage), n=d.count().over(ibis.window(group_by="board_stage")))
    cards = d.filter(d.place < CARDS).order_by("board_stage", "place")
    wanted = cards.select("entity_id", "name", "currency", "close_date", "n", stage="board_stage", amount="money", days="days_in_stage")
    return [_card(row, found) for row in pairs(wanted)]


def _card(row: dict[str, Any], found: Understanding) -> dict[str, Any]:
    due = row["close_date"]
    late = due is not None and due < found.as_of.date()
    name = without_people(str(row["name"])) if row["name"] else row["entity_id"]
    return {**row, "name": name, "close_date": str(due or ""), "late": late}
