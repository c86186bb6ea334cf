"""A plan never holds what the vendor is certain to refuse: values against the live definitions of the fields."""

from __future__ import annotations

from pathlib import Path

import pytest
from sandbox_hub import Standing, standing, tundish

from core.change import Change
from core.config import SHIPPED
from core.connector import LiveField
from core.fit import definitions, misfits, unfit


def field(type_: str = "text", **more: object) -> LiveField:
    return LiveField("contacts", "properties.x", "X", type_, **more)  # type: ignore[arg-type]


def change(after: str | None, *, name: str = "x", policy: str = "source_of_truth", vendor_id: str = "l1:7") -> Change:
    return Change("c1", "hub", "contacts", vendor_id, name, "text", None, after, "why", policy, "D-01", "e1")


@pytest.mark.parametrize(
    ("live", "value", "says"),
    [
        (field("number"), "12.5", ""),
        (field("number"), "12;13", "no number"),
        (field("int"), "12.5", "no int"),
        (field("boolean"), "true", ""),
        (field("boolean"), "yes", "no boolean"),
        (field("date"), "2026-02-30", "no date"),
        (field("datetime"), "2026-02-28T12:00:00Z", ""),
        (field("birthday"), "12/24", ""),
        (field("birthday"), "24/12", "no birthday"),
        (field("choice", options=("a", "b")), "a;b", ""),
        (field("choice", options=("a", "b")), "c", "none of its 2 options"),
        (field("picklist", options=("a",), restricted=False), "c", ""),
        (field(length=3), "abc", ""),
        (field(length=3), "abcd", "4 characters, the field takes 3"),
        (field(required=True), None, "requires a value"),
        (field(), None, ""),
        (field(writable=False), "a", "does not let this field be written"),
        (field(calculated=True), "a", "does not let this field be written"),
        (field("address"), "Main Street 1", "no single value"),
    ],
)
def test_a_value_is_held_when_the_live_field_cannot_take_it(live: LiveField, value: str | None, says: str) -> None:
    told = unfit(live, value)
    assert says in told
    assert bool(told) == bool(says)


def held(changes: list[Change], *fields: LiveField) -> list[str]:
    return [h.reason for h in misfits(changes, {("hub", "contacts"): "contacts"}, {"hub": definitions(fields)})]


def test_a_field_of_people_that_is_not_there_is_held_and_one_of_ours_is_yet_to_be_made() -> None:
    assert held([change("a", name="gone")], field()) == ["hub has no field gone in contacts"]
    assert held([change("a", name="tundish_stage", policy="derived")], field()) == []


def test_a_vendor_that_lists_no_fields_is_not_judged() -> None:
    assert held([change("a")]) == []


def test_of_two_definitions_the_one_of_the_records_own_audience_counts() -> None:
    assert held([change("abc")], field(), field("number", scope="l1:")) == ["X: 'abc' is no number"]
    assert held([change("abc", vendor_id="l2:7")], field(), field("number", scope="l1:")) == []


@pytest.fixture
def sandbox(tmp_path: Path) -> object:
    with standing(tmp_path, size=8, vendors=["hubspot", "salesforce"], rules=("D-01", "D-05", "D-09", "S-05")) as made:
        yield made


def test_the_amount_and_the_close_date_follow_the_source_of_truth_and_stay(sandbox: Standing) -> None:
    """Planned with `before` and rule, applied, planned no more, and taken back to the second."""
    assert tundish("--config", sandbox.config, "sync", "--json").code == 0
    plan = tundish("--config", sandbox.config, "plan", "--json").json
    mine = {c["field"]: c for c in plan["changes"] if c["target"] == "deals" and c["rule"]}
    assert {name: c["rule"] for name, c in mine.items()} == {"amount": "D-01", "closedate": "D-05"}
    store = sandbox.emulators["hubspot"].store  # type: ignore[attr-defined]
    deals = store.tables["deals"].rows

    def now() -> dict[str, str]:
        return {name: deals[c["vendor_id"]].props[name] for name, c in mine.items()}

    before = now()
    applied = tundish("--config", sandbox.config, "apply", plan["plan_id"], "--yes", "--json")
    assert applied.code == 0
    assert now()["closedate"].startswith(mine["closedate"]["after"][:11] + "12:00:00")
    assert tundish("--config", sandbox.config, "sync", "--json").code == 0
    assert tundish("--config", sandbox.config, "plan", "--json").json["changes"] == []
    assert tundish("--config", sandbox.config, "undo", applied.json["run"], "--yes", "--json").code == 0
    assert (float(now()["amount"]), now()["closedate"]) == (float(before["amount"]), before["closedate"])


def test_what_the_shipped_mapping_leaves_to_people_works_when_it_is_uncommented(sandbox: Standing) -> None:
    own = sandbox.home / "mappings"
    own.mkdir(exist_ok=True)
    text = (SHIPPED / "hubspot.yaml").read_text()
    for name in ("dealstage", "hubspot_owner_id"):
        assert f"    # {name}: " in text
        text = text.replace(f"    # {name}: ", f"    {name}: ")
    (own / "hubspot.yaml").write_text(text)
    assert tundish("--config", sandbox.config, "sync", "--json").code == 0
    plan = tundish("--config", sandbox.config, "plan", "--json").json
    assert {"D-01", "D-05", "D-09", "S-05"} <= {c["rule"] for c in plan["changes"] if c["target"] == "deals"}
    assert tundish("--config", sandbox.config, "apply", plan["plan_id"], "--yes", "--json").code == 0
    assert tundish("--config", sandbox.config, "sync", "--json").code == 0
    again = tundish("--config", sandbox.config, "plan", "--json").json
    assert [(c["field"], c["before"], c["after"]) for c in again["changes"]] == []


def test_a_property_that_became_read_only_is_held_with_the_reason(sandbox: Standing) -> None:
    store = sandbox.emulators["hubspot"].store  # type: ignore[attr-defined]
    store.properties["deals"]["amount"]["modificationMetadata"]["readOnlyValue"] = True
    assert tundish("--config", sandbox.config, "sync", "--json").code == 0
    plan = tundish("--config", sandbox.config, "plan", "--json").json
    assert [h["reason"] for h in plan["held"] if h["field"] == "amount"] == ["Amount: the vendor does not let this field be written"]
    assert "amount" not in {c["field"] for c in plan["changes"]}


def test_check_names_a_field_of_peoples_that_nobody_may_write(sandbox: Standing) -> None:
    store = sandbox.emulators["hubspot"].store  # type: ignore[attr-defined]
    store.properties["deals"]["amount"]["modificationMetadata"]["readOnlyValue"] = True
    del store.properties["deals"]["closedate"]
    checks = tundish("--config", sandbox.config, "check", "--json").json["checks"]
    said = {c["text"] for c in checks if c["what"] == "push"}
    assert said == {
        "deals.amount: Amount: the vendor does not let this field be written",
        "deals.closedate: the account has no such field",
    }
