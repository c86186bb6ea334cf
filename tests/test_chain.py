"""From visitor to closed revenue: one person followed over every system, and the sandbox's truth confirms each step."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from sandbox_hub import Standing, standing, tundish

from jobs.steps import run_sync

SIZE = 60
SYSTEMS = {"files", "optimizely", "mailchimp", "hotjar", "hubspot", "salesforce"}  # the event export is among the files


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    with standing(tmp_path_factory.mktemp("chain"), size=SIZE) as sandbox:
        assert run_sync(sandbox.hub, quiet=True).status == "done"
        yield sandbox


def chains(sandbox: Standing) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any], Mapping[str, Any]]]:
    """(person, visitor, won deal) of people the truth knows as readers and visitors who saw an experiment and bought; latest first."""
    people = {p["person"]: p for p in sandbox.truth["people"]}
    won = {key: deal for deal in sandbox.truth["deals"] if deal["outcome"] == "won" for key in deal["people"]}
    for visitor in reversed(sandbox.truth["web"]):
        reads = any(record[0] == "mailchimp" for record in people[visitor["person"]]["records"])
        if reads and visitor["variants"] and visitor["person"] in won:
            yield people[visitor["person"]], visitor, won[visitor["person"]]


def timeline(sandbox: Standing, person: Mapping[str, Any]) -> list[dict[str, Any]]:
    record = ":".join(map(str, next(r for r in person["records"] if r[0] == "hubspot")))
    said = tundish("--config", sandbox.config, "explain", record, "--max", "500", "--json")
    assert said.code == 0, said.err
    lines: list[dict[str, Any]] = said.json["timeline"]
    return lines


def test_visitor_lead_deal_and_won_stand_in_one_timeline_over_all_systems(company: Standing) -> None:
    ways = ((person, visitor, deal, timeline(company, person)) for person, visitor, deal in chains(company))
    whole = next((way for way in ways if {line["account"] for line in way[3]} >= SYSTEMS), None)
    assert whole, "the sandbox has nobody who went the whole way"
    person, visitor, deal, lines = whole
    text = json.dumps(lines)
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    assert visitor["client_id"] in text  # the analytics' visitor
    assert any(f"variant {variant}" in text for variant in visitor["variants"].values())
    assert all(":".join(map(str, record)) in text for record in deal["records"])
    assert "Won" in text
    assert person["email"] not in text
