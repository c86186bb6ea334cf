"""Numbers of a part only: every factor of them is of the same part, and says so."""

from __future__ import annotations

import json
from typing import Any

import pytest
from test_measure import LOST, NOW, WON, deal
from unified_rows import row, tables

from core.compiled import over
from core.errors import UserError
from core.facts import facts
from core.measure import measure, rows
from core.resolve import resolve
from jobs.show import metrics_text

PEOPLE = {"a": "Web", "b": "web ", "c": "Partner Referral"}
DEALS = [
    deal("w", amount=100, owner_id="ada", pipeline_id="new", close_date="2026-06-20", created_at="2026-06-10", **WON),
    deal("l", amount=100, owner_id="ada", pipeline_id="new", source="web", close_date="2026-06-20", **LOST),
    deal("o", amount=40, owner_id="ada", pipeline_id="more"),
    deal("other", amount=900, owner_id="bob", pipeline_id="new", close_date="2026-06-20", created_at="2026-06-10", **WON),
    deal("open", amount=70, owner_id="bob"),
]
ON = {"w": "a", "o": "b", "other": "c"}


@pytest.fixture(scope="module")
def known() -> Any:
    given = tables(
        person=[row("person", "salesforce", name, source=source, stage="M20") for name, source in PEOPLE.items()],
        deal=DEALS,
        owner=[row("owner", "salesforce", name, email=f"{name.capitalize()}@x.example") for name in ("ada", "bob")],
        association=[row("association", "salesforce", d, from_kind="deal", from_id=d, to_kind="person", to_id=p) for d, p in ON.items()],
    )
    run = over(given, {})
    return facts(given, resolve(given, {}, compiled=run).members, {}, NOW, run)


def found(known: Any, name: str, family: str, only: dict[str, str], **dims: str) -> list[dict[str, Any]]:
    every = measure(known, {}, NOW, (family,), only=only).to_pylist()
    opened = [{**r, "dimensions": json.loads(r["dimensions"]), "excluded": json.loads(r["excluded"])} for r in every]
    return [r for r in opened if r["name"] == name and dims.items() <= r["dimensions"].items()]


def test_all_four_factors_of_a_velocity_are_of_one_owner(known: Any) -> None:
    [velocity] = found(known, "velocity", "pipeline", {"owner": "ADA@x.example"})
    assert velocity["value"] == pytest.approx(1 * 0.5 * 100 / 10)
    assert velocity["excluded"] == {"only": "owner ADA@x.example"}


def test_a_deal_without_a_source_is_of_the_source_of_its_person(known: Any) -> None:
    [rate] = found(known, "win_rate", "winrate", {"source": "Web"}, by="count", period="2026-Q2")
    assert (rate["numerator"], rate["denominator"]) == (1, 2)
    keys = rows(known, {}, NOW, "win_rate", {"period": "2026-Q2"}, {"source": "web"}).to_pyarrow()["vendor_id"].to_pylist()
    assert set(keys) == {"w", "l"}
    [grouped] = found(known, "win_rate", "winrate", {"source": "referral"}, by="count", period="2026-Q2")
    assert grouped["numerator"] == 1


def test_parts_hold_all_at_once_and_persons_are_of_the_pipelines_of_their_deals(known: Any) -> None:
    [open_] = found(known, "pipeline_value", "pipeline", {"owner": "ada@x.example", "pipeline": "more"}, stage="all")
    assert open_["value"] == 40
    persons = found(known, "source_persons", "sources", {"pipeline": "new"})
    assert {r["dimensions"]["source"]: r["value"] for r in persons} == {"web": 1, "referral": 1}


def test_every_table_says_of_what_part_it_is(known: Any) -> None:
    text = metrics_text(measure(known, {}, NOW, ("winrate",), only={"source": "web"}).to_pylist(), "winrate")
    assert text.count("Only source web.") == len(text.split("\n\n"))


def test_a_part_nobody_is_in_and_a_way_there_is_none_of_are_mistakes(known: Any) -> None:
    with pytest.raises(UserError, match=r"nobody and no deal has the source 'wob'; did you mean 'web'"):
        measure(known, {}, NOW, ("pipeline",), only={"source": "wob"})
    with pytest.raises(UserError, match=r"cannot be had by 'sauce'; did you mean 'source'"):
        measure(known, {}, NOW, ("pipeline",), only={"sauce": "web"})
