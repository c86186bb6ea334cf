"""VWO over the sandbox's company: what the web site did is what the lake has, and what the pipeline knows reaches the visitor."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from sandbox_hub import Standing, standing, tundish
from test_vwo import MAPPING


# -- the sandbox's company -----------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    with standing(tmp_path_factory.mktemp("company"), size=40, vendors=["hubspot", "vwo"]) as sandbox:
        assert tundish("--config", sandbox.config, "sync", "--json").code == 0
        yield sandbox


def test_the_shipped_mapping_fits_and_the_world_fills_all_of_it(company: Standing) -> None:
    for resource, compiled in MAPPING.resources.items():
        for plan in compiled.json.outputs:
            table = company.hub.lake.current(plan.kind)
            kept = table.filter(table.account == "vwo", table.resource == resource).to_pyarrow()
            assert kept.num_rows
            assert [name for name in plan.fields if kept[name].null_count == kept.num_rows] == []


def test_the_numbers_in_the_lake_are_those_of_the_web_site(company: Standing) -> None:
    seen = Counter((trial, variant) for visitor in company.emulators["vwo"].campaigns.by_id.values() for trial, variant in _shown(visitor))
    tally = company.hub.lake.current("tally")
    kept = tally.filter(tally.account == "vwo", tally.measure.startswith("experiment_visitors")).to_pyarrow().to_pylist()
    totals: Counter[Any] = Counter()
    for row in kept:
        own = json.loads(row["attributes"])
        totals[row["measure"], own["experiment_id"], own["variant"]] += row["value"]
    assert {key[1:]: n for key, n in totals.items() if key[0] == "experiment_visitors"} == dict(seen)
    assert {key[1:]: n for key, n in totals.items() if key[0] == "experiment_visitors_daily"} == dict(seen)


def _shown(row: dict[str, Any]) -> Iterator[tuple[str, str]]:
    names = {v["id"]: v["name"] for v in row["variations"]}
    return ((str(row["id"]), names[variation]) for variation, _ in row["seen"].values())


def test_what_the_pipeline_knows_reaches_the_visitor_once(company: Standing) -> None:
    def say(*words: str) -> Any:
        said = tundish("--config", company.config, *words, "--json")
        assert said.code == 0, said.err
        return said.json

    say("reconcile")
    plan = say("plan")
    events = [c for c in plan["changes"] if c["account"] == "vwo"]
    assert {c["field"] for c in events} == {"tundish_sale", "tundish_sql"}
    say("apply", plan["plan_id"], "--yes")
    heard = company.emulators["vwo"].collector.heard
    assert dict(heard) == {(c["vendor_id"], c["field"]): 1 for c in events}
    say("sync")
    assert [c for c in say("plan")["changes"] if c["account"] == "vwo"] == []
