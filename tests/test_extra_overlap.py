"""`limits.extra_overlap_s` reaches every read that goes by a cursor, and does not drag the cursor back."""

from __future__ import annotations

from pathlib import Path

import pytest
from sandbox_hub import VENDORS, Standing, standing, tundish

from jobs.wiring import all_connectors

YEARS = 10 * 365 * 86400
BY_CURSOR = {
    "hubspot": {"contacts", "companies", "deals", "contact_stages", "deal_stages"},
    "salesforce": {"Account", "Contact", "Lead", "Opportunity", "OpportunityHistory", "CampaignMember"},
    "mailchimp": {"members", "activity"},
    "activecampaign": {"contacts", "deals", "dealActivities"},
    "ga4": {"traffic", "events"},
    "hotjar": {"responses"},
    "optimizely": {"changes", "experiments"},
    "vwo": {"feeds"},
}
# Files are known by what they are and read whole when they changed: there is no cursor to go back from.
WITHOUT = {"files"}


def kept(sandbox: Standing, *, appends: bool = True) -> dict[tuple[str, str], int]:
    said = tundish("--config", sandbox.config, "sync", "--json")
    assert said.code == 0, said.err
    mine = [r for r in said.json["records"] if r["resource"] in BY_CURSOR[r["account"]]]
    assert appends or [(r["resource"], r["appended"]) for r in mine if r["appended"] and r["account"] != "ga4"] == []
    return {(r["account"], r["resource"]): r["kept"] for r in mine}


def test_every_vendor_that_is_read_by_a_cursor_is_tried() -> None:
    by_cursor = {v for v in VENDORS if any(r.cursor for r in all_connectors()[v].resources)}
    assert set(BY_CURSOR) == by_cursor - WITHOUT


@pytest.mark.parametrize("vendors", [["hubspot", "salesforce", "mailchimp"], ["activecampaign", "ga4"], ["hotjar", "optimizely", "vwo"]])
def test_what_lies_before_the_cursor_is_read_again_once_and_appends_nothing(vendors: list[str], tmp_path: Path) -> None:
    with standing(tmp_path, size=8, vendors=vendors) as sandbox:
        whole = kept(sandbox)
        sandbox.clock.advance(86400)
        config = sandbox.config.read_text()
        sandbox.config.write_text(f"{config}\nlimits: {{extra_overlap_s: {YEARS}}}\n")
        again = kept(sandbox, appends=False)  # but Analytics has one day more
        assert {key: (n, whole[key]) for key, n in again.items() if n < whole[key] * 0.5} == {}
        assert sum(again.values()) >= sum(whole.values()) * 0.9  # archived ones and moves between lists aside
        sandbox.config.write_text(config)
        later = kept(sandbox)
    assert sum(later.values()) < sum(again.values()) * 0.3
