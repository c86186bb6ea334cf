"""Plans from literals: what is planned, what is held, what is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.apply import check
from core.change import Desired, Plan, canonical
from core.errors import UnsafePlan
from core.plan import Limits, SourceSize, build, guard

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
KEY = ("hs", "contacts", "1")
RUNGS = {("hs", "contacts", "lifecyclestage"): {"lead": "M20", "opportunity": "M50", "customer": "M80"}}


def wish(value: str | None, policy: str = "derived", field: str = "tundish_stage", **more: Any) -> Desired:
    return Desired("hs", "contacts", more.pop("vendor_id", "1"), field, more.pop("type", "text"), value, "why", policy, **more)


def plan(*wishes: Desired, live: dict[str, Any] | None = None, **more: Any) -> Plan:
    return build(wishes, {KEY: live if live is not None else {}}, now=NOW, as_of=NOW, limits=Limits(), rungs=RUNGS, **more)


def test_equal_values_plan_nothing() -> None:
    assert plan(wish("M50"), live={"tundish_stage": " M50 "}).changes == ()


def test_a_difference_is_a_change_with_its_before_image() -> None:
    [change] = plan(wish("M50"), live={"tundish_stage": "M20"}).changes
    assert (change.before, change.after) == ("M20", "M50")


def test_the_same_changes_give_the_same_plan_id_in_any_order() -> None:
    a, b = wish("M50"), wish("x", field="tundish_other")
    assert plan(a, b).plan_id == plan(b, a).plan_id != plan(a).plan_id


def test_a_plan_survives_json() -> None:
    made = plan(wish("M50"), wish("customer", "manual", "lifecyclestage"))
    assert Plan.from_json(made.to_json()) == made


def test_a_gone_record_is_held() -> None:
    made = build([wish("M50", vendor_id="2")], {}, now=NOW, as_of=NOW, limits=Limits())
    assert made.changes == ()
    assert "gone" in made.held[0].reason


def test_contradicting_wishes_are_both_held() -> None:
    made = plan(wish("M50"), wish("M60"))
    assert made.changes == ()
    assert "two rules" in made.held[0].reason


def test_a_value_edited_since_the_sync_is_held() -> None:
    made = plan(wish("customer", "never_regress", "lifecyclestage", before="lead"), live={"lifecyclestage": "opportunity"})
    assert "since the last sync" in made.held[0].reason


@pytest.mark.parametrize(("live", "planned"), [("lead", True), ("customer", False), ("made_up", False), (None, True)])
def test_never_regress_only_goes_further(live: str | None, planned: bool) -> None:
    made = plan(wish("opportunity", "never_regress", "lifecyclestage"), live={"lifecyclestage": live})
    assert bool(made.changes) is planned


@pytest.mark.parametrize(
    ("field", "live", "wanted", "planned"),
    [
        ("hs_email_optout", "false", "true", True),
        ("hs_email_optout", "true", "false", False),
        ("status", "subscribed", "unsubscribed", True),
        ("status", "unsubscribed", "subscribed", False),
    ],
)
def test_consent_is_never_loosened(field: str, live: str, wanted: str, planned: bool) -> None:
    assert bool(plan(wish(wanted, "strictest", field), live={field: live}).changes) is planned


def test_blank_fill_leaves_a_value_alone() -> None:
    assert plan(wish("EMEA", "fill_blank", "region"), live={"region": "APAC"}).changes == ()
    assert len(plan(wish("EMEA", "fill_blank", "region"), live={"region": ""}).changes) == 1


def test_an_empty_wish_never_clears_a_field_of_people() -> None:
    assert plan(wish(None, "source_of_truth", "amount"), live={"amount": "5"}).changes == ()


def test_a_frozen_field_is_held() -> None:
    made = plan(wish("M50"), frozen=frozenset({("1", "tundish_stage")}))
    assert "T-05" in made.held[0].reason


@pytest.mark.parametrize(
    ("value", "type_", "text"),
    [
        ("", "text", None), (None, "number", None), ("12500.00", "number", "12500"), (Decimal("0.50"), "number", "0.5"), (0, "number", "0"),
        ("1e3", "number", "1000"), ("True", "boolean", "true"), (False, "boolean", "false"), (date(2026, 3, 1), "date", "2026-03-01"),
        ("1772323200000", "date", "2026-03-01"), ("2026-03-01T10:00:00.123+02:00", "datetime", "2026-03-01T08:00:00Z"),
    ],
)  # fmt: skip
def test_every_value_has_one_spelling(value: Any, type_: str, text: str | None) -> None:
    assert canonical(value, type_) == text


def many(n: int, policy: str, before: str | None) -> Plan:
    wishes = [wish("M50", policy, vendor_id=str(i)) for i in range(n)]
    live = {("hs", "contacts", str(i)): {"tundish_stage": before} for i in range(n)}
    return build(wishes, live, now=NOW, as_of=NOW, limits=Limits(max_changes=500))


def test_too_many_changes_are_refused_naming_the_way_out() -> None:
    guarded = guard(many(501, "source_of_truth", "M20"), {("hs", "contacts"): 100_000}, [], Limits())
    assert "limits.max_changes" in guarded.refusals[0]
    with pytest.raises(UnsafePlan, match="--allow-large"):
        check(guarded, NOW)
    check(guarded, NOW, allow=frozenset({"large"}))


def test_a_large_share_is_refused_but_a_handful_is_not() -> None:
    assert guard(many(30, "source_of_truth", "M20"), {("hs", "contacts"): 100}, [], Limits()).refusals
    assert not guard(many(20, "source_of_truth", "M20"), {("hs", "contacts"): 100}, [], Limits()).refusals


def test_filling_our_own_empty_field_for_the_first_time_is_not_counted() -> None:
    assert not guard(many(600, "derived", None), {("hs", "contacts"): 600}, [], Limits()).refusals


def test_a_source_that_suddenly_empties_refuses_the_plan() -> None:
    sources = [SourceSize("hs", "contacts", now=10, before=1000), SourceSize("sf", "Lead", 5, 5, complete=False)]
    refusals = guard(plan(wish("M50")), {}, sources, Limits()).refusals
    assert "1000 live rows before, 10 now" in refusals[0]
    assert "not complete" in refusals[1]


def test_an_expired_plan_is_refused() -> None:
    with pytest.raises(UnsafePlan, match="expired"):
        check(plan(wish("M50")), NOW + timedelta(hours=73))
