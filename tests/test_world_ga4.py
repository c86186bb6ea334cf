"""The web as GA4's event export has it, against the web as it was."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

from connectors.sandbox.world import NOW, _draft
from connectors.sandbox.world_ga4 import bigquery_events, hits, local_day
from connectors.sandbox.world_model import Draft
from connectors.sandbox.world_web import COUNTED, TRIALS


def world(size: int = 30) -> Draft:
    draft = _draft(size, 7, NOW, 0.005)
    draft.rng = Random("7/ga4")
    return draft


def param(row: dict[str, Any], key: str) -> Any:
    values = [p["value"] for p in row["event_params"] if p["key"] == key]
    return next((v for v in values[0].values() if v is not None), None) if values else None


def test_the_export_has_one_row_for_each_hit_in_the_order_of_time() -> None:
    draft = world()
    rows = list(bigquery_events(draft))
    assert Counter(r["event_name"] for r in rows) == Counter(h.name for h in hits(draft))
    assert [r["event_timestamp"] for r in rows] == sorted(r["event_timestamp"] for r in rows)
    assert list(bigquery_events(draft)) == rows


def test_every_visit_is_one_session_of_its_visitor() -> None:
    draft = world()
    starts = [(r["user_pseudo_id"], param(r, "ga_session_id")) for r in bigquery_events(draft) if r["event_name"] == "session_start"]
    assert sorted(starts) == sorted(
        (v.client_id, visit.at) for v in draft.web.visitors for visit in v.visits if visit.at < draft.now and not v.hidden
    )


def test_experiments_are_seen_once_and_by_the_variant_that_was_drawn() -> None:
    draft = world()
    seen = [
        (r["user_pseudo_id"], param(r, "exp_variant_string")) for r in bigquery_events(draft) if r["event_name"] == "experience_impression"
    ]
    tests = {t.key: f"{t.tool}-{t.name}" for t in (*TRIALS, *(one.trial for one in COUNTED.values()))}
    shown = [(v, key, variant) for v in draft.web.visitors if not v.hidden for key, (variant, _) in v.variants.items()]
    true = [(v.client_id, f"{tests[key]}-{variant}") for v, key, variant in shown]
    assert seen
    assert sorted(seen) == sorted(true)


def test_a_sale_is_told_without_a_session_and_with_its_value() -> None:
    draft = world()
    sales = [r for r in bigquery_events(draft) if r["event_name"] == "close_convert_lead"]
    deals = [d for d in draft.deals if d.event and d.people and d.people[0].client_id]
    assert len(sales) == len(deals) > 0
    assert {param(r, "ga_session_id") for r in sales} == {None}
    assert sorted(param(r, "value") or 0 for r in sales) == sorted((d.cents or 0) / 100 for d in deals)


def test_the_propertys_zone_decides_the_day() -> None:
    assert local_day(1_782_770_340) == "20260629"  # 2026-06-29 21:59 UTC, 23:59 in Berlin
    assert local_day(1_782_770_400) == "20260630"
    assert local_day(1_767_221_940) == "20251231"  # in winter the zone is one hour ahead
