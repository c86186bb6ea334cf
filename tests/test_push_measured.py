"""Measured values written back: only what is asked for is measured, and nothing is written because a number hardly moved."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import generated_deals
import ibis
import numpy as np
import pyarrow as pa
import pytest
from generated_deals import UNTIL
from ruamel.yaml import YAML
from sandbox_hub import Standing, differing, only, standing, state, tundish
from test_event_wishes import ANALYTICS, EVENTS
from test_follow_up import Steps, deal, person
from test_measure import Measured
from unified_rows import row

from core import pushing
from core.compiled import over
from core.config import SHIPPED
from core.connector import Target
from core.event_wishes import Told, events
from core.mapping import Push, compile_mapping
from core.measure import pushed
from core.measure.influence import influence
from core.measure.metric import Scope
from core.measure.pushed import GROUPS, banded, closing, measured, stepped
from core.wishes import NOTHING, derived
from jobs.wiring import all_connectors

OURS = re.compile(r"^(  +)# (?=[Tt]undish_|TUNDISH_|Campaign(?:Influence)?:|  Tundish_|  Influence:)", re.MULTILINE)
VENDORS = ("hubspot", "salesforce")


# -- steps that do not move to and fro ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("value", "step", "stays"),
    [(50.0, 50, None), (51.0, 50, 55), (52.4, 50, 55), (52.6, 55, 50), (53.9, 55, 50), (54.1, 55, None), (0.0, 0, None), (47.4, 45, 50)],
)
def test_a_probability_moves_only_well_beyond_half_a_step(value: float, step: int, stays: int | None) -> None:
    assert stepped(value) == (step, stays)


@pytest.mark.parametrize(
    ("value", "said"), [(0.5, ("C", None)), (0.69, ("C", "B")), (0.71, ("B", "C")), (0.73, ("B", None)), (0.0, ("D", None))]
)
def test_a_band_moves_only_beyond_its_edge(value: float, said: tuple[str, str | None]) -> None:
    assert banded(value, [(0.9, "A"), (0.7, "B"), (0.4, "C"), (0.0, "D")]) == said


def test_an_expected_close_is_the_end_of_a_month_and_stays_near_it() -> None:
    end, after, before = date(2026, 6, 30), date(2026, 7, 31), date(2026, 5, 31)
    assert closing(date(2026, 6, 15)) == (end, None)
    assert closing(date(2026, 6, 28)) == (end, after)
    assert closing(date(2026, 6, 3)) == (end, before)
    assert closing(date(2026, 12, 31)) == (date(2026, 12, 31), date(2027, 1, 31))


def wished(value: str | None, stays: str | None, last: str | None) -> list[str | None]:
    """What is wished for a deal whose value is this, beside another one that may stay, where `last` was pushed."""
    target = Target("deals", "deals", 100, lambda session, writes: [], lambda session, ids, fields: {})
    push = Push("deals", "prob", "win_probability", "derived", "number", "")
    mapping = SimpleNamespace(pushes=lambda name: (push,), resource=lambda name: SimpleNamespace(kinds=("deal",)))
    facts = ibis.memtable(
        pa.table({"entity_id": ["d"], "win_probability": pa.array([value]), "stay_win_probability": pa.array([stays], pa.string())})
    )
    columns = ("entity_id", "kind", "account", "resource", "vendor_id")
    members = ibis.memtable(pa.table({**{c: [v] for c, v in zip(columns, ("d", "deal", "hs", "deals", "1"), strict=True)}, "live": [True]}))
    marks = [] if last is None else [hashlib.md5(last.encode()).hexdigest()]
    names = ("vendor_id", "target", "field", "value_hash")
    rows = [dict(zip(names, ("1", "deals", "prob", mark), strict=True)) for mark in marks]
    pushed_ = pa.Table.from_pylist(rows, schema=pa.schema([(n, pa.string()) for n in names]))
    connector: Any = SimpleNamespace(targets=(target,))
    found = derived("hs", connector, mapping, members, {"deal": facts}, pushed_, over({}, None))  # type: ignore[arg-type]
    return [wish.value for wish, _ in found]


def test_what_was_pushed_may_stay_where_it_is_named_too() -> None:
    assert wished("55", "50", None) == ["55"]
    assert wished("55", "50", "55") == []
    assert wished("55", "50", "50") == []  # hardly moved
    assert wished("55", "50", "45") == ["55"]
    assert wished("55", None, "50") == ["55"]
    assert wished(None, None, "50") == [None]  # a closed deal has none
    assert wished(None, "*", "50") == []  # nobody knows any more: what was said stays


def test_shares_of_a_deal_are_whole_per_cent_of_the_campaigns_the_system_has() -> None:
    """Six touches, weighed alike: three of one campaign, one of another, one of a campaign Salesforce does not know, one of none."""

    def touched(n: int, campaign: str | None, account: str = "salesforce") -> dict[str, Any]:
        return row("touch", account, f"t{n}", person_id="p", kind="click", channel=f"channel {n}", campaign_id=campaign,
                   occurred_at=f"2026-05-{n:02}T10:00")  # fmt: skip

    known = Measured(
        UNTIL, {"thresholds": {"attribution_model": "linear"}}, (),
        person=[row("person", "salesforce", "p", email="p@firm.example", created_at="2026-05-01")],
        deal=[row("deal", "salesforce", name, outcome="open", stage="M50", person_id="p", created_at="2026-06-01", amount=9, currency="EUR",
                  pipeline_stage="Qualifying") for name in ("d", "e")],
        campaign=[row("campaign", "salesforce", "c2", name="Webinar"), row("campaign", "salesforce", "c1", name="Trade show"),
                  row("campaign", "salesforce", "c3", name="trade_show"), row("campaign", "hubspot", "h", name="Newsletter")],
        touch=[touched(1, "c1"), touched(2, "c1"), touched(3, "c3"), touched(4, "c2"), touched(5, None), touched(6, "x")],
    )  # fmt: skip
    links, seen = influence(Scope(known.facts, known.funnel, UNTIL), "salesforce", ("Opportunity", "campaign"))
    assert links == {
        f"{deal}:{campaign}": share for deal in "de" for campaign, share in (("c1", "49"), ("c2", "17"))
    }  # with the two others 100
    assert seen == {"d", "e"}
    assert influence(Scope(known.facts, known.funnel, UNTIL), "hubspot", ("deals", "campaign")) == ({}, set())


def test_links_that_are_no_longer_due_are_taken_away_and_those_nobody_looks_at_stay() -> None:
    """Deal 1 is credited to campaign b now, and deal 2 was closed too long ago."""
    target = Target("Influence", "Influence", 9, lambda session, writes: [], kind="links", ends=("Deal", "Campaign"))
    marks = [("1:a", "x"), ("1:b", "x"), ("2:a", "x"), ("1:c", NOTHING)]
    written = pa.Table.from_pylist([{"vendor_id": v, "target": "Influence", "field": "Influence", "value_hash": m} for v, m in marks])
    with patch("core.measure.influence.influence", return_value=({"1:b": "100"}, {"1"})):
        shares, own = pushing._links(Scope({}, {}, UNTIL), [("sf", target)], lambda account: written)
    found = {r["entity_id"]: (r["campaign_influence"], r["stay_campaign_influence"]) for r in shares.to_pylist()}
    assert found == {"sf:1:a": (None, None), "sf:1:b": ("100", None), "sf:2:a": (None, "*")}
    assert own["vendor_id"].to_pylist() == ["1:a", "1:b", "2:a"]


def test_a_day_later_only_few_values_have_moved() -> None:
    """Every open deal is a day older, so every number has moved a little."""
    facts = generated_deals.facts(generated_deals.history(1200, 700, 3, UNTIL))
    names = ("win_probability", "expected_close", "forecast_category")
    today, later = (
        {r["entity_id"]: r for r in pushed.pushable(Scope(facts, {}, at), "deal", names).to_pylist()}  # type: ignore[union-attr]
        for at in (UNTIL, UNTIL + timedelta(days=1))
    )
    both = today.keys() & later.keys()
    assert len(both) > 100
    for name in names:
        plainly = [deal for deal in both if later[deal][name] != today[deal][name]]
        moved = [deal for deal in plainly if today[deal][name] != later[deal][f"stay_{name}"]]
        assert len(moved) <= 0.06 * len(both), name
    assert {r["win_probability"] for r in today.values()} <= {str(p) for p in range(0, 101, 5)}


def test_a_qualified_lead_is_told_with_what_he_is_worth() -> None:
    """Of past leads one in ten came, half of the closed deals were won, 900 each: 0.1 × ½ × 900."""
    deals = [deal(f"w{i}", "M80", "Won", "2026-01-01", "2026-03-01", amount=900) for i in range(2)]
    lost = [deal(f"l{i}", "M85", "Lost", "2026-01-01", "2026-03-01", amount=5000) for i in range(2)]
    known = Steps(person("p", "M30", "2026-06-29T10:00", links=["ga4:clients:11.22"]), *deals, *lost)
    text = EVENTS.replace("reached: M30", "reached: M30, value: lead_value", 1)
    mapping = compile_mapping(text, ANALYTICS, name="m.yaml")
    hands: Any = {"ga4": SimpleNamespace(targets={t.name: t for t in ANALYTICS.targets})}
    named = pushing.wanted({"ga4": mapping}, hands)
    assert named == {"person": {"lead_value", "lead_currency"}}
    facts = known.measured.facts
    compiled = over({}, {}, facts)
    with patch("core.measure.follow_up.expected", side_effect=lambda s: np.full(len(s.score), 0.1)):
        base = pushing.ground(lambda: known.scope, facts, facts["members"], named, (), lambda account: pa.table({}), compiled)
    found = events("ga4", ANALYTICS, mapping, base.facts, lambda target: Told(), known.scope.as_of, compiled.also(text))
    qualified = next(json.loads(w.value or "") for w in found.wishes if w.field == "qualify_lead")
    assert (float(qualified["value"]), qualified["currency"]) == (45.0, "EUR")


@pytest.mark.parametrize("vendor", ["hubspot", "salesforce", "mailchimp", "activecampaign"])
def test_every_line_the_shipped_mappings_offer_is_a_good_one(vendor: str) -> None:
    offered = re.compile(OURS.pattern.replace("(?=", "(?=tags:|band_tags:|follow_up_tags:|"), re.MULTILINE)
    text = (SHIPPED / f"{vendor}.yaml").read_text()
    mapping = compile_mapping(offered.sub(r"\1", text), all_connectors()[vendor], name=f"{vendor}.yaml")
    before = compile_mapping(text, all_connectors()[vendor], name=f"{vendor}.yaml")
    assert len(mapping.push) > len(before.push)


# -- over the vendors ---------------------------------------------------------------------------------------------------------
def uncommented(home: Path) -> None:
    """The shipped mappings with every measured value switched on, and nothing else written."""
    only((), home / "mappings" / "funnel.yaml")
    asked = {name for kind in GROUPS for name in measured(kind)} | {"campaign_influence"}
    yaml = YAML()
    yaml.width = 1000
    for vendor in VENDORS:
        text = yaml.load(OURS.sub(r"\1", (SHIPPED / f"{vendor}.yaml").read_text()))
        pushed_ = {target: {f: spec for f, spec in some.items() if spec["from"] in asked} for target, some in text["push"].items()}
        text["push"] = {target: some for target, some in pushed_.items() if some}
        with (home / "mappings" / f"{vendor}.yaml").open("w") as file:
            yaml.dump(text, file)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    home = tmp_path_factory.mktemp("measured")
    uncommented(home)
    with standing(home, size=16, vendors=VENDORS, rules=()) as sandbox:
        yield sandbox


def say(hub: Standing, *words: str) -> Any:
    said = tundish("--config", hub.config, *words, "--json")
    assert said.code == 0, said.err + said.out
    return said.json


@pytest.fixture(scope="module")
def line(hub: Standing) -> SimpleNamespace:
    say(hub, "sync")
    before = state(hub.emulators)
    plan = say(hub, "plan")
    apply = say(hub, "apply", plan["plan_id"], "--yes")
    say(hub, "sync")
    again = say(hub, "plan")
    rows = len(hub.emulators["salesforce"].org.tables["CampaignInfluence"])  # type: ignore[attr-defined]
    undo = say(hub, "undo", apply["run"], "--yes")
    return SimpleNamespace(plan=plan, apply=apply, again=again, undo=undo, rows=rows, before=before, after=state(hub.emulators))


def fields(plan: Any, account: str, target: str) -> Counter[str]:
    return Counter(c["field"] for c in plan["changes"] if c["account"] == account and c["target"] == target)


def test_every_measured_value_is_planned_and_written(line: SimpleNamespace) -> None:
    deals = fields(line.plan, "hubspot", "deals")
    for name in (
        "win_prob",
        "expected_close",
        "forecast_category",
        "days_in_stage",
        "next_action",
        "next_action_due",
        "first_channel",
        "sourced",
    ):
        assert deals[f"tundish_{name}"], name
    assert fields(line.plan, "salesforce", "Opportunity")["Tundish_Win_Probability__c"]
    assert fields(line.plan, "salesforce", "Lead")["Tundish_Score__c"]
    assert fields(line.plan, "hubspot", "contacts")["tundish_lead_band"]
    assert fields(line.plan, "salesforce", "Campaign")["Tundish_Leads__c"]
    assert fields(line.plan, "salesforce", "CampaignInfluence")["Influence"]
    assert set(line.apply["outcomes"]) <= {"applied", "already"}


def test_a_second_plan_has_nothing_to_write(line: SimpleNamespace) -> None:
    assert line.again["changes"] == []


def test_undo_puts_back_what_stood_there(line: SimpleNamespace) -> None:
    assert set(line.undo["outcomes"]) <= {"undone", "already"}
    changed = {(c["vendor_id"], c["field"]) for c in line.plan["changes"]}
    assert not {path for path in differing(line.before, line.after) if any(i in path and f in path for i, f in changed)}


def test_links_are_made_under_our_model_and_gone_after_undo(hub: Standing, line: SimpleNamespace) -> None:
    made = fields(line.plan, "salesforce", "CampaignInfluence")["Influence"]
    assert made == len({c["vendor_id"] for c in line.plan["changes"] if c["target"] == "CampaignInfluence"})
    assert line.rows == made
    assert hub.emulators["salesforce"].org.tables["CampaignInfluence"] == {}  # type: ignore[attr-defined]


def test_a_plan_that_asks_for_nothing_measures_nothing(tmp_path: Path) -> None:
    never = patch.object(pushed, "pushable", side_effect=AssertionError("measured"))
    with standing(tmp_path, size=4, vendors=("hubspot",)) as sandbox, never:
        say(sandbox, "sync")
        assert say(sandbox, "plan")["changes"]
