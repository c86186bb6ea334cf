"""Traps of many vendors that the core itself must not step into, where no other file has the test (docs/traps.md)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from pulled import NOW, Place, person
from sandbox_hub import Standing
from test_measure import Measured
from test_resolve import groups, people
from unified_rows import NOW as TODAY
from unified_rows import row

from core.change import Desired, Held
from core.errors import CredentialsError
from core.ledger import Ledger
from core.ledger_plans import PlanBook
from core.pipeline import _parked
from core.plan import Limits, build
from jobs.contract import exemptions
from jobs.play import emulator_classes
from jobs.wiring import all_connectors, open_hub

MAPPINGS = Path(__file__).parent.parent / "mappings"
WIRED = [v for v in all_connectors() if not exemptions(all_connectors()[v], emulator_classes()[v])["wire"]]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    made.toy.people = [person(i) for i in range(1, 4)]
    yield made
    made.close()


@pytest.mark.parametrize("empty", ["", None])
def test_what_is_cleared_at_the_vendor_is_cleared_here(place: Place, empty: str | None) -> None:
    place.pull()
    assert place.people()["2"] == "Ann"
    place.toy.people[1] |= {"name": empty, "at": "2026-05-31T00:00:00Z"}
    place.pull(now=NOW + timedelta(days=1))
    assert place.people() == {"1": "Ann", "2": None, "3": "Ann"}


def test_a_chain_of_merges_is_one_person_though_each_link_names_only_the_next() -> None:
    found = people(
        row("person", "hubspot", "3", merged_ids=["2"]),
        row("person", "hubspot", "2", merged_ids=["1"], merged_into="3", deleted=True),
        row("person", "mailchimp", "m1", links=["hubspot:contacts:1"]),
        row("person", "salesforce", "003A", merged_into="003B", deleted=True),
        row("person", "salesforce", "003B", merged_into="003C", deleted=True),
        row("person", "salesforce", "003C"),
    )
    assert groups(found) == {
        frozenset({"hubspot:3", "hubspot:2", "mailchimp:m1"}),
        frozenset({"salesforce:003A", "salesforce:003B", "salesforce:003C"}),
    }


def moves(**days: list[str]) -> list[dict[str, Any]]:
    """Stage changes of deals in HubSpot: one a day given, M50, M60 and so on."""
    return [
        row(
            "stage_change", "hubspot", f"{deal}:{code}", record_kind="deal", record_id=deal, field="stage", value=code, stage=code,
            entered_at=at,
        )
        for deal, entered in days.items()
        for code, at in zip(("M50", "M60", "M70"), entered, strict=False)
    ]  # fmt: skip


def test_time_in_stage_comes_from_history_whatever_the_vendors_own_timer_says() -> None:
    deals = [row("deal", "hubspot", "d", stage="M60", stage_entered_at=timer, outcome="open") for timer in ("2026-06-29", None)]
    told = [
        Measured(TODAY, None, ("pipeline",), deal=[deal], stage_change=moves(d=["2026-06-01", "2026-06-11"])).one(
            "time_in_stage", stage="M50", quantile="median"
        )["value"]
        for deal in deals
    ]
    assert told == [10, 10]


def test_no_shipped_mapping_reads_a_timer_that_is_named_after_a_stage() -> None:
    """HubSpot retired such properties once (hs_date_entered_…), and stages come and go."""
    text = "".join(path.read_text() for path in MAPPINGS.glob("*.yaml"))
    assert re.findall(r"hs_(?:v2_)?(?:date_entered|date_exited|time_in)_(?!current_stage)\w+", text) == []


def test_an_edit_that_moves_no_stage_is_no_stage_change() -> None:
    """A history that repeats the stage at every edit counts once, dated by the first."""
    again = row(
        "stage_change", "hubspot", "d:again", record_kind="deal", record_id="d", field="stage", value="M50", stage="M50",
        entered_at="2026-06-20",
    )  # fmt: skip
    found = Measured(
        TODAY, None, ("pipeline",), deal=[row("deal", "hubspot", "d", stage="M50")], stage_change=[*moves(d=["2026-06-01"]), again]
    )
    changes = found.facts["changes"].select("value", "at").to_pyarrow().to_pylist()
    assert [(c["value"], f"{c['at']:%d}") for c in changes] == [("M50", "01")]


def test_closed_is_not_won_and_closed_without_a_word_how_is_in_no_number() -> None:
    closed = {"amount": "100", "currency": "EUR", "close_date": "2026-06-15", "created_at": "2026-05-01"}
    deals = [
        row("deal", "hubspot", "won", closed=True, won=True, **closed),
        row("deal", "hubspot", "lost", closed=True, won=False, **closed),
        row("deal", "hubspot", "riddle", closed=True, raw_stage="archived_2024", **closed),
        row("deal", "hubspot", "open", closed=False, raw_stage="new_2026", **closed),
    ]
    found = Measured(TODAY, None, ("pipeline", "winrate"), deal=deals)
    assert found.one("win_rate", by="count", period="2026-Q2")["value"] == 0.5
    assert found.one("pipeline_value", stage="all")["value"] == 100
    reached = found.facts["milestone"].filter(lambda t: t.code.isin(["M80", "M85"])).to_pyarrow()
    assert sorted(zip(reached["code"].to_pylist(), reached["reached_at"].is_valid().to_pylist(), strict=True)) == [
        ("M80", True),
        ("M85", True),
    ]


def test_what_the_vendor_refused_is_parked_with_its_reason_and_tried_again_when_it_changes(tmp_path: Path) -> None:
    def plan(value: str) -> Any:
        wish = Desired("hs", "contacts", "1", "stage", "text", value, "why")
        return build([wish], {("hs", "contacts", "1"): {"stage": None}}, now=TODAY, as_of=TODAY, limits=Limits())

    ledger = Ledger(tmp_path / "ledger.db")
    book, first = PlanBook(ledger), plan("M40")
    book.save(first, {}, TODAY)
    apply_id = book.start_apply(first.plan_id, "apply", TODAY, "a1")
    refused(book, apply_id, first)
    again, other = plan("M40"), plan("M50")
    parked = _parked(again, book.refused([c.change_id for c in again.changes]))
    assert (parked.changes, [h.reason for h in parked.held]) == ((), ["refused by the vendor before: INVALID: no such stage"])
    assert all(isinstance(h, Held) for h in parked.held)
    assert _parked(other, book.refused([c.change_id for c in other.changes])).changes == other.changes
    ledger.close()


def refused(book: PlanBook, apply_id: str, plan: Any) -> None:
    from core.change import Outcome

    book.book(apply_id, TODAY).record([(c, Outcome(c.change_id, "rejected", "INVALID: no such stage")) for c in plan.changes])


@pytest.mark.parametrize("vendor", WIRED)
def test_two_accounts_of_one_vendor_never_share_a_credential(vendor: str, stand: Callable[..., Standing]) -> None:
    """Opened side by side, the one with the wrong key fails and the other goes on, whichever asks first."""
    sandbox = stand(vendors=[vendor])
    text = sandbox.config.read_text()
    mine = re.search(rf"  {vendor}:\n(?:    .*\n)+", text)
    assert mine is not None
    other = mine[0].replace(f"  {vendor}:", "  other:", 1).replace(f"secrets/{vendor}.", "secrets/other.")
    for secret in sandbox.home.glob(f"secrets/{vendor}.*"):
        (secret.parent / secret.name.replace(vendor, "other", 1)).write_text(f"wrong-{secret.read_text()}")
    sandbox.config.write_text(text.replace(mine[0], mine[0] + other))
    with open_hub(sandbox.config) as hub, hub.account(vendor) as good:
        good.connector.probe(good.session)
        with pytest.raises(CredentialsError), hub.account("other") as bad:
            bad.connector.probe(bad.session)
        assert good.connector.probe(good.session)


def test_a_row_is_never_replaced_by_a_thinner_copy_of_itself(place: Place) -> None:
    """A page that repeats a row without a field it had would blank it: every read of a resource asks for the same fields."""
    place.pull()
    place.pull(now=NOW + timedelta(days=1), full=True)
    asked = [ask.fields for ask in place.toy.asked if ask.resource == "people"]
    assert len(asked) == 2
    assert asked[0] == asked[1]
    assert orjson.dumps(asked[0])
