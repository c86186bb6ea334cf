"""What keeps the hub from doing harm: it waits, writes rarely, stops when somebody fights it, and takes a person's no for an answer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from three_systems import DEALS, Three, sf, three

from core.change import Desired, Held, Plan, Written
from core.ledger_echo import fights, our_moves
from core.plan import Limits, build
from jobs.thaw import frozen_fields, thaw_fields

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
KEY = ("hs", "deals", "1")
BOTH_WAYS = "{policy: most_recent, order: [salesforce, hubspot]}"


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Three]:
    with three(tmp_path, {"amount": BOTH_WAYS}) as made:
        made.turn()
        made.pass_(hours=1)
        yield made


def amounts(stand: Three) -> tuple[float, float]:
    return float(stand.in_hs("deals", DEALS[0], "amount")), stand.in_sf("Opportunity", sf("006", 0), "Amount")


def of_amount(plan: Plan) -> list[tuple[str, str | None]]:
    return [(c.account, c.after) for c in plan.changes if c.rule == "D-01"]


def held(plan: Plan) -> list[str]:
    return [h.reason for h in plan.held if h.rule == "D-01"]


# -- three ways -----------------------------------------------------------------------------------------------------------
def test_the_side_that_was_edited_wins_whichever_it_is(stand: Three) -> None:
    stand.hs("deals", DEALS[0], amount="1500")
    stand.pass_(hours=1)
    stand.turn()
    assert amounts(stand) == (1500, 1500)
    stand.pass_(hours=26)
    stand.sf("Opportunity", sf("006", 0), Amount=1700)
    stand.pass_(hours=1)
    stand.turn()
    assert amounts(stand) == (1700, 1700)


def test_our_own_write_coming_back_is_no_edit(stand: Three) -> None:
    """Salesforce goes on while our copy of its last value is on its way: both differ from the base, yet only Salesforce was edited."""
    stand.sf("Opportunity", sf("006", 0), Amount=1500)
    stand.pass_(hours=1)
    stand.turn()
    stand.sf("Opportunity", sf("006", 0), Amount=1800)
    stand.pass_(hours=25)
    plan, _ = stand.turn()
    assert of_amount(plan) == [("hubspot", "1800")]
    assert amounts(stand) == (1800, 1800)


def test_without_a_common_value_nobody_is_overwritten(tmp_path: Path) -> None:
    with three(tmp_path, {"amount": BOTH_WAYS}) as stand:
        stand.hs("deals", DEALS[0], amount="9900")
        stand.pass_(hours=1)
        plan, _ = stand.turn()
        assert of_amount(plan) == []
        assert amounts(stand) == (9900, 1000)


# -- rarely, and not against anybody -----------------------------------------------------------------------------------------
def test_a_fresh_edit_is_left_in_peace(stand: Three) -> None:
    stand.hs("deals", DEALS[0], amount="1500")
    stand.pass_(minutes=14)
    assert of_amount(stand.turn()[0]) == []
    stand.pass_(minutes=2)
    assert of_amount(stand.turn()[0]) == [("salesforce", "1500")]


def test_a_field_is_written_once_a_day(stand: Three) -> None:
    stand.hs("deals", DEALS[0], amount="1500")
    stand.pass_(hours=1)
    stand.turn()
    stand.hs("deals", DEALS[0], amount="1900")
    stand.pass_(hours=22)
    plan, _ = stand.turn()
    assert (of_amount(plan), held(plan)) == ([], ["written less than 24 hours ago (limits.rewrite_h); a later plan will ask again"])
    stand.pass_(hours=2)
    assert of_amount(stand.turn()[0]) == [("salesforce", "1900")]


def test_what_a_person_took_back_is_not_asked_for_again(stand: Three) -> None:
    stand.hs("deals", DEALS[0], amount="1500")
    stand.pass_(hours=1)
    _, done = stand.turn()
    stand.undo(done.run_id)
    assert amounts(stand) == (1500, 1000)
    stand.pass_(hours=26)
    plan, _ = stand.turn()
    assert of_amount(plan) == []
    assert "undone by a person" in held(plan)[0]
    stand.hs("deals", DEALS[0], amount="1600")
    stand.pass_(hours=1)
    assert of_amount(stand.turn()[0]) == [("salesforce", "1600")]


def test_an_opt_out_never_waits() -> None:
    wish = Desired("hs", "deals", "1", "status", "text", "unsubscribed", "why", "strictest")
    written = {(*KEY, "status"): Written("unsubscribed", NOW - timedelta(hours=1))}
    made = build([wish], {KEY: {"status": "subscribed"}}, now=NOW, as_of=NOW, limits=Limits(), written=written)
    assert len(made.changes) == 1


# -- two writers --------------------------------------------------------------------------------------------------------------
def fight(stand: Three) -> list[tuple[Plan, Any]]:
    """Five nights beside an integration of somebody else's that copies HubSpot's owner to Salesforce whenever we do not look."""
    nights = []
    for _ in range(5):
        stand.sf("Opportunity", sf("006", 0), OwnerId=sf("005", 2))
        stand.hs("deals", DEALS[0], hubspot_owner_id="41001")
        stand.pass_(hours=26)
        nights.append(stand.turn())
    return nights


def test_two_writers_of_one_field_are_stopped_within_three_moves_until_a_person_thaws_it(tmp_path: Path) -> None:
    with three(tmp_path) as stand:
        stand.turn()
        nights = fight(stand)
        wrote = [[c.after for c in plan.changes if c.field == "hubspot_owner_id"] for plan, _ in nights]
        assert wrote == [["41002"], ["41002"], [], [], []]
        reasons = [h.reason for h in nights[-1][0].held if h.field == "hubspot_owner_id"]
        assert reasons == ["frozen: two writers alternate on this field (T-05); once it has one writer: tundish thaw"]
        [frozen] = frozen_fields(stand.sandbox.hub)
        assert (frozen.field, frozen.records) == ("owner_id", (("hubspot", "deals", DEALS[0]),))
        thaw_fields(stand.sandbox.hub, [frozen])
        stand.pass_(hours=1)
        plan, _ = stand.turn()
        assert [c.after for c in plan.changes if c.field == "hubspot_owner_id"] == ["41002"]


def test_a_fight_is_one_value_over_the_same_other_one_within_the_days() -> None:
    key = ("hs", "deals", "1", "amount")

    def ours(*days: float, before: str = "1", **more: Any) -> list[tuple[Any, list[Written]]]:
        return [(key, [Written("2", NOW + timedelta(days=d), before, **more) for d in days])]

    week = timedelta(days=7)
    assert set(fights(ours(0, 6), {}, week, 2)) == {key}
    assert fights(ours(0, 8), {}, week, 2) == {}
    assert fights(ours(0), {}, week, 2) == {}
    assert fights(ours(0, 6, undone=True), {}, week, 2) == {}
    assert fights([(key, [*ours(0)[0][1], *ours(6, before="3")[0][1]])], {}, week, 2) == {}
    assert fights(ours(0, 6), {key: NOW + timedelta(days=1)}, week, 2) == {}
    assert [our_moves(times) for times in (2, 3, 4, 5)] == [2, 2, 2, 3]


# -- what was seen may be old ------------------------------------------------------------------------------------------------
def test_an_edit_between_pull_and_plan_is_seen(stand: Three) -> None:
    stand.hs("deals", DEALS[0], hubspot_owner_id="41002", closedate="2026-08-03T12:00:00Z")
    stand.pass_(hours=1)
    stand.sync()
    stand.hs("deals", DEALS[0], hubspot_owner_id="41001")
    stand.hs("deals", DEALS[0], closedate="2026-09-10T12:00:00Z")
    plan = stand.plan()
    assert {c.field for c in plan.changes if c.account == "hubspot"} == set()
    changed: list[Held] = [h for h in plan.held if h.field in ("hubspot_owner_id", "closedate")]
    assert [h.reason for h in changed] == ["changed in the vendor since the last sync; sync again"] * len(changed)
