"""Deals through their stages: where they go, back, over and to and fro; how old they are; what became of cohorts."""

from __future__ import annotations

from typing import Any

import pytest
from test_measure import LOST, MARCH, NOW, R20, WON, Measured, deal, steps_of
from test_waterfall import history
from unified_rows import row

PATHS = {  # deal: (created, [(day, stage)])
    "straight": [("2026-03-01", "M50"), ("2026-03-11", "M60"), ("2026-03-21", "M70"), ("2026-03-31", "M80")],
    "skipped": [("2026-03-01", "M50"), ("2026-03-21", "M70"), ("2026-04-10", "M85")],
    "back": [("2026-03-01", "M50"), ("2026-03-11", "M60"), ("2026-03-21", "M50"), ("2026-04-20", "M85")],
    "bounced": [("2026-03-01", "M50"), ("2026-03-11T10:00", "M60"), ("2026-03-11T12:00", "M50")],
    "still": [("2026-06-10", "M50")],
}
ENDS = {"straight": WON, "skipped": LOST, "back": LOST, "bounced": {}, "still": {}}
CLOSED = {"straight": "2026-03-31", "skipped": "2026-04-10", "back": "2026-04-20"}


@pytest.fixture(scope="module")
def moved() -> Measured:
    deals = [
        deal(id, amount=100, created_at=path[0][0], close_date=CLOSED.get(id, "2026-07-30"), stage_entered_at=path[-1][0], **ENDS[id])
        for id, path in PATHS.items()
    ]
    changes = [change for id, path in PATHS.items() for change in history(id, stage=path)]
    return Measured(NOW, {"thresholds": {"within_days": [30, 90]}}, ("movement", "winrate"), deal=deals, stage_change=changes)


def test_moves_back_over_a_stage_and_to_and_fro(moved: Measured) -> None:
    shares = {m: moved.one("deal_moves", move=m) for m in ("regressed", "skipped", "bounced")}
    assert {m: (r["numerator"], r["denominator"]) for m, r in shares.items()} == {"regressed": (2, 4), "skipped": (1, 4), "bounced": (1, 4)}
    assert shares["regressed"]["excluded"] == {"never seen to move": 1}
    assert moved.behind("deal_moves", move="regressed") == {"back", "bounced"}


def test_the_ends_of_a_stage_compete(moved: Measured) -> None:
    """Stays in M50: 10, 20, 10, 10 days on, then 30 to lost, and two that go on (111 and 20 days)."""
    forward = moved.one("stage_end", stage="M50", days=30, end="forward")
    lost = moved.one("stage_end", stage="M50", days=30, end="lost")
    assert (forward["n"], forward["numerator"]) == (7, None)  # no counts: the value is not their ratio
    assert forward["value"] == pytest.approx(4 / 7)
    assert lost["value"] == pytest.approx(3 / 7 / 2)  # of two still at risk on day 30 one is lost; the one seen for 20 days is not
    assert forward["low"] < forward["value"] < forward["high"]
    assert moved.one("stage_end", stage="M60", days=30, end="back")["value"] == pytest.approx(2 / 3)
    assert moved.one("days_in_stage", stage="M70")["value"] == 10


def test_the_cycle_is_that_of_the_won_and_the_rest_competes(moved: Measured) -> None:
    assert moved.one("sales_cycle", quantile="median")["value"] == 30
    within = {(r["dimensions"]["days"], r["dimensions"]["end"]): r["value"] for r in moved.all("closed_within")}
    assert within[30, "won"] == pytest.approx(1 / 4)  # the newest is seen for 20 days only
    assert within[90, "lost"] == pytest.approx(2 / 4)


def test_from_the_first_lead_to_the_sale() -> None:
    """Two persons are on the deal; the first was a lead 40 days before it was won, and the third's deal was won before."""
    made = steps_of({"p": {"lead": "01-10"}, "q": {"lead": "01-01"}, "late": {"lead": "03-01"}})
    deals = [deal(id, created_at="2025-01-20", close_date="2025-02-10", **WON) for id in ("d", "e")]
    on = [row("association", "salesforce", f"{d}{p}", from_kind="deal", from_id=d, to_kind="person", to_id=p) for d, p in ("dp", "dq")]
    for person in made["person"]:
        person.update(account="salesforce", vendor="salesforce", resource="Contact")
    for change in made["stage_change"]:
        change.update(account="salesforce", vendor="salesforce")
    found = Measured(MARCH, {}, ("movement",), deal=deals, association=on, **made)
    median = found.one("lead_to_won", quantile="median")
    assert (median["value"], median["n"]) == (40, 1)
    assert median["excluded"] == {"without a lead before the win, or dates not believed": 1}
    assert found.behind("lead_to_won") == {"d"}


def test_how_long_open_deals_are_in_a_stage_against_winners(moved: Measured) -> None:
    """Open in M50: 20 and 110 days, 65 in the middle; the one that won was there for 10."""
    ratio = moved.one("stage_age_ratio", stage="M50", against="P90")
    assert (ratio["numerator"], ratio["denominator"], ratio["n"]) == (65, 10, 2)
    assert not moved.all("stage_age_ratio", stage="M60")  # no open deal is there


def test_ages_and_who_is_older_than_any_winner(moved: Measured) -> None:
    ages = {r["dimensions"]["days"]: r["value"] for r in moved.all("age_deals", basis="since creation")}
    assert ages == {"0-30": 1, "30-60": 0, "60-90": 0, "90-180": 1, "180+": 0}
    assert moved.one("age_value", basis="in the stage", days="90-180")["value"] == 100
    assert moved.behind("age_deals", basis="since creation", days="90-180") == {"bounced"}
    zombies = moved.one("zombie_deals")
    assert (zombies["numerator"], zombies["denominator"]) == (1, 2)


def test_what_became_of_deals_created_together(moved: Measured) -> None:
    bounds = {b: moved.one("cohort_win_rate", created="2026-Q1", bound=b) for b in ("low", "high")}
    assert {b: (r["numerator"], r["denominator"]) for b, r in bounds.items()} == {"low": (1, 4), "high": (2, 4)}
    assert moved.one("cohort_win_rate", created="2025-Q4", bound="low")["value"] is None
    stage = moved.one("stage_win_rate", stage="M70")
    assert (stage["numerator"], stage["denominator"]) == (1, 2)
    assert moved.behind("stage_win_rate", stage="M60") == {"straight", "back"}


# -- the funnel, broken down -----------------------------------------------------------------------------------------------
def people() -> dict[str, list[dict[str, Any]]]:
    """R20's persons; the odd ones came from the web, p9 was disqualified ten days after he came."""
    made = steps_of(R20)
    for i, person in enumerate(made["person"]):
        person["source"] = "Web" if i % 2 == 0 else None
    made["stage_change"].append(
        row("stage_change", "hubspot", "p5:mx", record_kind="person", record_id="p5", field="status", value="no", stage="MX",
            entered_at="2025-01-30")
    )  # fmt: skip
    return made


@pytest.fixture(scope="module")
def broken() -> Measured:
    funnel = {"thresholds": {"within_days": [45], "funnel_by": ["source"]}}
    return Measured(MARCH, funnel, ("funnel", "breakdown"), **people())


def test_reach_by_source_adds_up_to_the_cohort(broken: Measured) -> None:
    web, unknown = ([broken.one("reach_by", part=p, to=code)["numerator"] for code in ("M20", "M30", "M40", "M50", "M80")]
                    for p in ("web", "(unknown)"))  # fmt: skip
    assert (web, unknown) == ([5, 3, 3, 3, 3], [4, 4, 2, 1, 0])
    assert broken.behind("reach_by", by="source", part="web", to="M80") == {"p1", "p3", "p7"}


def test_who_was_disqualified_competes_with_who_will_come(broken: Measured) -> None:
    within = broken.one("reach_within_cif", **{"from": "M20"}, to="M80", days=45)
    assert within["value"] == pytest.approx(8 / 9 * 1 / 7)  # on day 28, with one of nine out for good and another not watched so long
    assert "ones (1) compete" in within["definition"]


def test_the_young_and_the_late_known_are_told(broken: Measured) -> None:
    young = broken.one("young")
    assert (young["numerator"], young["denominator"]) == (4, 9)
    assert broken.one("reach", cohort="all", mode="implied", to="M30")["excluded"] == {"first known beyond M20": 1}
    assert broken.one("cohort_age", cohort="2025-01")["value"] == 37  # on 10 March
    late = broken.one("left_truncated")
    assert (late["numerator"], late["denominator"]) == (1, 10)


def test_r19_hubspot_leaves_the_skipper_out_of_all_and_not_out_of_any(broken: Measured) -> None:
    """p3 was never MQL or SQL. All persons of the fixture were created in January: no other month has any."""
    assert {r["dimensions"]["created"] for r in broken.all("hubspot_funnel")} == {"2025-01"}
    won = {mode: broken.one("hubspot_funnel", stages=mode, to="M80")["numerator"] for mode in ("all", "any")}
    assert won == {"all": 2, "any": 3}
    assert broken.one("hubspot_funnel", stages="all", to="created")["value"] == 10
