"""`limits.extra_overlap_s` reaches every read that goes by a cursor, and does not drag the cursor back."""

from __future__ import annotations

from pathlib import Path

from sandbox_hub import Standing, standing, tundish

YEARS = 10 * 365 * 86400
BY_CURSOR = {
    "hubspot": {"contacts", "companies", "deals", "contact_stages", "deal_stages"},
    "salesforce": {"Account", "Contact", "Lead", "Opportunity", "OpportunityHistory", "CampaignMember"},
    "mailchimp": {"members"},
}


def kept(sandbox: Standing) -> dict[tuple[str, str], int]:
    said = tundish("--config", sandbox.config, "sync", "--json")
    assert said.code == 0, said.err
    return {(r["account"], r["resource"]): r["kept"] for r in said.json["records"] if r["resource"] in BY_CURSOR[r["account"]]}


def test_what_lies_before_the_cursor_is_read_again_once_and_appends_nothing(tmp_path: Path) -> None:
    with standing(tmp_path, size=8, vendors=list(BY_CURSOR)) as sandbox:
        whole = kept(sandbox)
        sandbox.clock.advance(86400)
        config = sandbox.config.read_text()
        sandbox.config.write_text(f"{config}\nlimits: {{extra_overlap_s: {YEARS}}}\n")
        again = kept(sandbox)
        assert {key: n for key, n in again.items() if n < whole[key] * 0.5} == {}
        assert sum(again.values()) >= sum(whole.values()) * 0.9  # archived ones and moves between lists aside
        sandbox.config.write_text(config)
        later = kept(sandbox)
    assert sum(later.values()) < sum(again.values()) * 0.3
