"""reconcile, note and explain as people review findings with them; the verdict of a finding in the ledger; pages of records."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sandbox_hub import Said, Standing, standing, tundish

from core.ledger import Ledger
from core.ledger_notes import notes_about
from core.ledger_verdicts import Verdict, forget_findings, judged, say_verdict, verdicts
from jobs.wiring import all_connectors

DAY = timedelta(days=1)
EVIL = "two invoices, ask jane@example.com \x1b[2J"


@dataclass(frozen=True)
class Desk:
    """The first answer, and what holds after one finding was accepted."""

    sandbox: Standing
    first: dict[str, Any]
    finding: dict[str, Any]
    accepted: Said
    after: dict[str, Any]

    def say(self, *words: str) -> Said:
        return tundish("--config", self.sandbox.config, *words)

    @property
    def id(self) -> str:
        return str(self.finding["finding_id"])


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with standing(tmp_path_factory.mktemp("desk"), size=8, vendors=["hubspot", "salesforce"], rules=["D-01", "D-02", "D-05"]) as sandbox:

        def say(*words: str) -> Said:
            said = tundish("--config", sandbox.config, *words)
            assert said.code == 0, said.err
            return said

        say("sync")
        first = say("reconcile", "--json").json
        finding = next(f for f in first["findings"] if f["rule"] == "D-01")
        sandbox.clock.advance(60)
        accepted = say("note", finding["finding_id"][:8], EVIL, "--accept", "--by", "ana")
        after = say("reconcile", "--json").json
        yield Desk(sandbox, first, finding, accepted, after)


# -- what is shown -----------------------------------------------------------------------------------------------------------
def test_a_finding_is_explained_from_the_rows_of_its_records(desk: Desk) -> None:
    data = desk.say("explain", desk.id[:8], "--json").json
    assert data["finding"]["finding_id"] == desk.id
    assert [s["record"] for s in data["sides"]] == [":".join(r) for r in desk.finding["records"]]
    assert {s["record"].partition(":")[0]: s["says"] for s in data["sides"]} == desk.finding["values"]
    assert all(s["since"] and s["updated"] for s in data["sides"])
    amounts = [row["amount"] for row in data["rows"]]
    assert amounts == [desk.finding["values"][s["record"].partition(":")[0]] for s in data["sides"]]
    text = desk.say("explain", desk.id).out
    assert "≠  amount" in text
    assert "give the account's `app_url`" in text
    assert "D-01 Amount drift (S2), accepted" in text


def test_the_deal_of_a_finding_is_drawn_with_its_way_and_the_finding(desk: Desk, tmp_path: Path) -> None:
    said = desk.say("explain", desk.finding["entity_id"], "--format", "html", "-o", str(tmp_path / "way.html"))
    assert said.code == 0, said.err
    page = (tmp_path / "way.html").read_text()
    assert "What happened when, lane by lane" in page
    assert "M50 Opportunity" in page


def test_a_question_and_a_fix_say_what_to_do_next(desk: Desk) -> None:
    fix, question = (next(f for f in desk.first["findings"] if f["rule"] == rule) for rule in ("D-05", "D-02"))
    said = desk.say("explain", fix["finding_id"]).out
    assert f"set {fix['fix']['account']} {fix['fix']['field']} = {fix['fix']['value']}" in said
    assert f"tundish plan --rule D-05 --record {fix['fix']['account']}:{fix['fix']['resource']}:{fix['fix']['vendor_id']}" in said
    asked = desk.say("explain", question["finding_id"]).out
    assert f"question: {question['question']}" in asked
    assert f'tundish note {question["finding_id"][:8]} "…" --accept' in asked


def test_findings_come_in_other_formats_with_their_ids(desk: Desk, tmp_path: Path) -> None:
    other = next(f for f in desk.first["findings"] if f["rule"] == "D-05")["finding_id"]
    file = tmp_path / "findings.csv"
    assert desk.say("reconcile", "--rule", "D-05", "--format", "csv", "-o", str(file)).out == f"wrote {file}\n"
    [row] = [r for r in csv.DictReader(io.StringIO(file.read_text())) if r["id"] == other]
    assert row["rule"] == "D-05"


# -- what people say ---------------------------------------------------------------------------------------------------------
def test_an_accepted_finding_is_set_aside_with_its_reason(desk: Desk) -> None:
    assert "it holds from the next `tundish reconcile` on" in desk.accepted.out
    assert desk.id not in {f["finding_id"] for f in desk.after["findings"]}
    [aside] = desk.after["set_aside"]
    assert (aside["finding_id"], aside["status"], aside["notes"][0]["author"]) == (desk.id, "accepted", "ana")
    for words in (["report", "findings", "--format", "html"], ["explain", desk.id], ["reconcile"]):
        out = desk.say(*words).out
        assert "accepted: two invoices" in out
        assert "jane" not in out
        assert "\x1b" not in out


def test_what_cannot_be_said_is_told_with_the_way_out(desk: Desk) -> None:
    for words, told in (
        (["ffffffffff", "x"], "nothing to note about"),
        ([desk.id, " "], "a note needs a text"),
        ([desk.id, "x", "--accept", "--reopen"], "exclude each other"),
        ([desk.id, "x", "--mute-until", "2020-01-01"], "is over"),
        (["latest", "x", "--accept"], "nothing to note about: no plan yet"),
    ):
        said = desk.say("note", *words)
        assert (said.code, told in said.err, "next:" in said.err) == (2, True, True)
    assert "no finding 'ffffffff'" in desk.say("explain", "ffffffff").err
    assert desk.say("explain", desk.id, "--max", "-1").code == 2
    drawn = desk.say("explain", desk.id, "--format", "html")
    assert (drawn.code, "only the way of a person, a company or a deal is drawn" in drawn.err) == (2, True)


# -- verdicts ----------------------------------------------------------------------------------------------------------------
def test_the_last_verdict_holds_until_the_finding_was_settled(url: str) -> None:
    ledger, at = Ledger(url), datetime(2026, 6, 1, tzinfo=UTC)
    for days, name, status in ((1, "a", "accepted"), (2, "a", "muted_until:2026-08-01"), (2, "b", "accepted"), (3, "c", "accepted")):
        say_verdict(ledger, Verdict(name, status, "ana", at + days * DAY))
    rows = [("a", "open", at), ("b", "open", at + 9 * DAY), ("c", "fixed", at), ("d", "open", at)]  # b was gone in between
    found = pa.Table.from_pylist([{"finding_id": i, "status": s, "first_seen": f} for i, s, f in rows])

    def after(until: datetime) -> list[str]:
        result = judged(found, verdicts(ledger, until))
        assert result is not None
        return [str(status) for status in result["status"].to_pylist()]

    assert after(at) == ["open", "open", "fixed", "open"]
    assert after(at + DAY) == ["accepted", "open", "fixed", "open"]
    assert after(at + 20 * DAY) == ["muted_until:2026-08-01", "open", "fixed", "open"]
    forget_findings(ledger, ["a"])
    assert after(at + 20 * DAY) == ["open", "open", "fixed", "open"]
    assert notes_about(ledger, ["finding:a"]) == []
    ledger.close()


# -- pages of records --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("vendor", "settings", "record", "attributes", "page"),
    [
        ("hubspot", {"app_url": "https://app.hubspot.com/contacts/12/"}, ("deals", "7"), {}, "https://app.hubspot.com/contacts/12/record/0-3/7"),
        ("hubspot", {}, ("deals", "7"), {}, ""),
        ("hubspot", {"app_url": "https://app.hubspot.com/contacts/12"}, ("line_items", "7"), {}, ""),
        ("salesforce", {"login_url": "https://lumen.my.salesforce.com"}, ("Lead", "00Q1"), {}, "https://lumen.my.salesforce.com/00Q1"),
        ("salesforce", {"login_url": "https://login.salesforce.com"}, ("Lead", "00Q1"), {}, ""),
        ("salesforce", {"app_url": "https://x.example/"}, ("Lead", "0/?"), {}, "https://x.example/0%2F%3F"),
        ("activecampaign", {"app_url": "https://l.activehosted.com"}, ("contactLists", "5:1:9"), {}, "https://l.activehosted.com/app/contacts/5"),
        ("mailchimp", {"api_key": "k-us19"}, ("members", "l:m"), {"web_id": 3}, "https://us19.admin.mailchimp.com/lists/members/view?id=3"),
        ("mailchimp", {"api_key": "k-us19"}, ("members", "l:m"), {}, ""),
    ],
)  # fmt: skip
def test_a_record_has_an_address_in_its_vendors_surface(
    vendor: str, settings: dict[str, str], record: tuple[str, str], attributes: dict[str, Any], page: str
) -> None:
    tell = all_connectors()[vendor].page
    assert tell is not None
    assert tell(settings, *record, attributes) == page
