"""Which wishes wait: too few pulls have seen the difference, or two writers fight over the field. And what stops a whole plan."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from core.change import Desired
from core.ledger import Ledger
from core.plan import Limits, SourceSize, build, guard
from core.restraint import early, frozen, lasting

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "ledger.db")
    for day in range(3):
        opened.start_run("sync", NOW + timedelta(days=day))
    opened.start_run("plan", NOW + timedelta(days=9))
    yield opened
    opened.close()


def seen(hours: float, rule: str = "D-01") -> dict[str, Any]:
    return {"finding_id": f"{rule} {hours:g}", "rule": rule, "first_seen": NOW + timedelta(hours=hours)}


@pytest.mark.parametrize(("pulls", "ripe"), [(1, [1, 25, 49]), (2, [1, 25]), (3, [1]), (4, [])])
def test_a_difference_waits_for_as_many_pulls_as_the_funnel_wants(pulls: int, ripe: list[int], ledger: Ledger) -> None:
    """It was first seen an hour after each of three pulls, so by that one and the later ones."""
    funnel = {"thresholds": {"quiet_pulls": pulls}}
    assert lasting(ledger, funnel, [seen(h) for h in (1, 25, 49)]) == {f"D-01 {h}" for h in ripe}


def test_consent_waits_for_no_pull(ledger: Ledger) -> None:
    assert lasting(ledger, {"thresholds": {"quiet_pulls": 9}}, [seen(49), seen(49, "C-01")]) == {"C-01 49"}


def test_what_waits_names_its_setting() -> None:
    [held] = early([Desired("hs", "deals", "1", "amount", "number", "5", "why", "most_recent", "D-01")])
    assert (held.vendor_id, held.field, held.live, held.wanted, held.rule) == ("1", "amount", None, "5", "D-01")
    assert "thresholds.quiet_pulls" in held.reason


def push(field: str, source: str, owned: bool = False) -> SimpleNamespace:
    return SimpleNamespace(field=field, source=source, owned=owned)


def test_a_fight_freezes_the_field_in_every_mirror_and_nothing_else() -> None:
    members = pa.Table.from_pylist(
        [{"account": a, "vendor_id": v, "entity_id": e} for a, v, e in (("hs", "1", "one"), ("sf", "006", "one"), ("hs", "2", "two"))]
    )
    hs = SimpleNamespace(push=[push("hubspot_owner_id", "owner_id"), push("amount", "amount"), push("tundish_owner", "owner_id", True)])
    mappings: Any = {"hs": hs, "sf": SimpleNamespace(push=[push("OwnerId", "owner_id")])}
    fought = [{"rule": "T-05", "entity_id": "one", "field": field} for field in ("owner", "owner_id")]  # a rule's name of it, a history's
    for row in fought:
        assert frozen([row], members, mappings) == {("1", "hubspot_owner_id"), ("006", "OwnerId")}
    assert frozen([{**fought[0], "rule": "D-09"}], members, mappings) == frozenset()


# -- a whole plan ------------------------------------------------------------------------------------------------------------
def planned(n: int, policy: str = "most_recent", stands: str | None = "4") -> Any:
    wishes = [Desired("hs", "deals", str(i), "amount", "number", "5", "why", policy, "D-01") for i in range(n)]
    return build(wishes, {("hs", "deals", str(i)): {"amount": stands} for i in range(n)}, now=NOW, as_of=NOW, limits=Limits())


def test_one_change_more_than_the_breaker_allows_stops_the_plan() -> None:
    many = {("hs", "deals"): 100_000}
    assert guard(planned(500), many, [], Limits()).refusals == ()
    [reason] = guard(planned(501), many, [], Limits()).refusals
    assert "501 changes, more than limits.max_changes = 500" in reason
    assert "--allow-large" in reason
    [reason] = guard(planned(26), {("hs", "deals"): 500}, [], Limits()).refusals
    assert "5% of all records would change, more than limits.max_share" in reason
    assert guard(planned(25), {("hs", "deals"): 25}, [], Limits()).refusals == ()  # so few may be all there are


def test_what_is_held_and_what_the_hub_fills_in_for_the_first_time_trip_no_breaker() -> None:
    assert guard(planned(501, policy="manual"), {("hs", "deals"): 502}, [], Limits()).refusals == ()
    assert guard(planned(501, policy="derived", stands=None), {("hs", "deals"): 502}, [], Limits()).refusals == ()


def test_a_source_that_lost_its_rows_or_was_not_read_whole_stops_the_plan() -> None:
    assert guard(planned(1), {}, [SourceSize("hs", "deals", 50, 100)], Limits()).refusals == ()
    [reason] = guard(planned(1), {}, [SourceSize("hs", "deals", 49, 100)], Limits()).refusals
    assert "100 live rows before, 49 now" in reason
    [reason] = guard(planned(1), {}, [SourceSize("hs", "deals", 100, 100, complete=False)], Limits()).refusals
    assert "--allow-partial" in reason


def test_a_record_that_is_gone_is_held_and_not_made_anew() -> None:
    made = build([Desired("hs", "deals", "1", "amount", "number", "5", "why", "most_recent")], {}, now=NOW, as_of=NOW, limits=Limits())
    assert made.changes == ()
    assert [h.reason for h in made.held] == ["the record is gone from the vendor (deleted or merged away)"]
