"""Credits of campaigns as rows of Salesforce's campaign influence: made, changed and taken away, under a model of our own only."""

from __future__ import annotations

from typing import Any

import pytest
import salesforce_org
from salesforce_org import START, iso, row

from connectors.salesforce import CONNECTOR
from connectors.salesforce_session import Session
from connectors.sandbox.salesforce_describe import make_id
from core.connector import Write, WriteResult
from core.errors import UserError

org_with, salesforce_served = salesforce_org.org_with, salesforce_org.salesforce_served
TARGET = CONNECTOR.target("CampaignInfluence")
OURS, THEIRS = make_id("0C1", 2), make_id("0C1", 1)


def deal(n: int) -> str:
    return make_id("006", n)


def campaign(n: int) -> str:
    return make_id("701", n)


def seed(deals: int = 2) -> dict[str, Any]:
    stamp = iso(START)
    model = {"IsActive": True, "IsModelLocked": True, "CreatedDate": stamp, "SystemModstamp": stamp}
    models = [{"Id": THEIRS, "DeveloperName": "SalesforceModel", "IsDefaultModel": True, **model},
              {"Id": OURS, "DeveloperName": "Tundish", "IsDefaultModel": False, **model}]  # fmt: skip
    opportunities = [
        row("006", n, Name=f"Deal {n}", StageName="Prospecting", CloseDate="2026-08-01", Amount=1000.0) for n in range(1, deals + 1)
    ]
    campaigns = [row("701", n, Name=f"Campaign {n}") for n in (1, 2)]
    return {"objects": {"CampaignInfluenceModel": models, "Opportunity": opportunities, "Campaign": campaigns}}


def session_on(org: Any, model: str = "Tundish") -> Session:
    opened: Session = org.session(writes=True, influence_model=model)
    return opened


def send(session: Session, **shares: Any) -> dict[str, WriteResult]:
    """send(session, d1c2=40): the share of deal 1 by campaign 2."""
    writes = [Write(key, f"{deal(int(key[1:-2]))}:{campaign(int(key[-1]))}", {"Influence": share}) for key, share in shares.items()]
    return {r.key: r for r in TARGET.write(session, writes)}


def pair(key: str) -> str:
    return f"{deal(int(key[1:-2]))}:{campaign(int(key[-1]))}"


def rows(org: Any) -> dict[tuple[str, str], tuple[float, float]]:
    """(model, deal) → share and the platform's own revenue share."""
    found = org.emulator.org.tables["CampaignInfluence"].values()
    return {(r["ModelId"], r["OpportunityId"]): (r["Influence"], r["RevenueShare"]) for r in found}


def test_a_share_is_made_changed_and_taken_away(org_with: Any) -> None:
    org = org_with(seed())
    session = session_on(org)
    keys = ("d1c1", "d1c2", "d2c1")
    assert all(r.ok for r in send(session, d1c1=60, d1c2="40", d2c1=None).values())
    read = TARGET.read_back(session, [pair(key) for key in keys], ["Influence"])
    assert read == {pair("d1c1"): {"Influence": 60.0}, pair("d1c2"): {"Influence": 40.0}, pair("d2c1"): {"Influence": None}}
    before = {r["Id"] for r in org.emulator.org.tables["CampaignInfluence"].values()}
    assert all(r.ok for r in send(session, d1c1=70, d1c2=None).values())
    left = org.emulator.org.tables["CampaignInfluence"]
    assert {(i in before, r["Influence"], r["RevenueShare"]) for i, r in left.items()} == {(True, 70.0, 700.0)}


def test_rows_of_other_models_are_never_touched(org_with: Any) -> None:
    org = org_with(seed())
    theirs = {"CampaignId": campaign(1), "OpportunityId": deal(1), "ModelId": THEIRS, "Influence": 100}
    org.edit("insert", sobject="CampaignInfluence", values=theirs)
    session = session_on(org)
    assert TARGET.read_back(session, [pair("d1c1")], ["Influence"]) == {pair("d1c1"): {"Influence": None}}
    send(session, d1c1=30)
    assert rows(org) == {(THEIRS, deal(1)): (100.0, 1000.0), (OURS, deal(1)): (30.0, 300.0)}
    send(session, d1c1=None)
    assert rows(org) == {(THEIRS, deal(1)): (100.0, 1000.0)}
    send(session, d1c1=30)
    assert org.edit("recalculate_influence") == 1  # the platform writes its own model anew; ours stays
    assert list(rows(org)) == [(OURS, deal(1))]


def test_one_bad_row_does_not_hide_the_good_ones(org_with: Any) -> None:
    org = org_with(seed())
    session = session_on(org)
    ghost = Write("ghost", f"{deal(99)}:{campaign(1)}", {"Influence": 10})
    strange = Write("strange", pair("d1c1"), {"RevenueShare": 5})
    good = Write("good", pair("d1c2"), {"Influence": 10})
    results = {r.key: r for r in TARGET.write(session, [ghost, strange, good])}
    assert {key: (r.ok, r.code) for key, r in results.items()} == {
        "ghost": (False, "INVALID_CROSS_REFERENCE_KEY"), "strange": (False, "unknown_field"), "good": (True, ""),
    }  # fmt: skip


def test_ends_of_a_row_cannot_be_changed_and_revenue_not_be_written(org_with: Any) -> None:
    """What the platform refuses: only the share of a row may change."""
    org = org_with(seed())
    send(session_on(org), d1c1=60)
    [row_id] = org.emulator.org.tables["CampaignInfluence"]
    for values in ({"CampaignId": campaign(2)}, {"RevenueShare": 5}, {"ModelId": THEIRS}):
        with pytest.raises(Exception, match="Unable to create/update fields"):
            org.edit("update", sobject="CampaignInfluence", id=row_id, values=values)
    with pytest.raises(Exception, match="does not support create"):
        org.edit("insert", sobject="CampaignInfluenceModel", values={"DeveloperName": "X"})


def test_more_rows_than_a_call_takes(org_with: Any) -> None:
    org = org_with(seed(450))
    session = session_on(org)
    writes = [Write(str(n), f"{deal(n)}:{campaign(1)}", {"Influence": 50}) for n in range(1, 451)]
    assert sum(r.ok for r in TARGET.write(session, writes)) == 450
    assert org.asked("composite/sobjects") == 3
    assert len(TARGET.read_back(session, [w.vendor_id for w in writes], ["Influence"])) == 450


def test_a_model_that_is_not_there_and_a_switch_that_is_off_are_told_with_the_way_out(org_with: Any) -> None:
    org = org_with(seed())
    with pytest.raises(UserError, match="no campaign influence model 'Other'") as missing:
        send(session_on(org, "Other"), d1c1=1)
    assert "influence_model" in (missing.value.next_step or "")
    org.edit("customizable_influence", on=False)
    with pytest.raises(UserError, match="no Customizable Campaign Influence"):
        send(session_on(org), d1c1=1)
