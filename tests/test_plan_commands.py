"""plan, plans, apply, undo and audit as people review with them: choose, note, compare, approve in parts, take back, account for."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from sandbox_hub import Said, Standing, standing, tundish

NOTE = "=1+1 <b>ask jane@example.com</b>\x1b[2J"


@dataclass(frozen=True)
class Review:
    """What the commands said, in their order."""

    sandbox: Standing
    plan: dict[str, Any]
    fix: dict[str, Any]
    applied: Said
    few: Said
    between: dict[str, Any]
    undone: Said
    again: Said
    listed: list[dict[str, Any]]
    since: str
    runs: list[str]
    back: Said

    def say(self, *words: str) -> Said:
        return tundish("--config", self.sandbox.config, *words)

    def record(self) -> str:
        return f"{self.fix['account']}:{self.fix['target']}:{self.fix['vendor_id']}"


@pytest.fixture(scope="module")
def review(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Review]:
    with standing(tmp_path_factory.mktemp("review"), size=8, vendors=["hubspot", "salesforce"], rules=["D-01", "D-05"]) as sandbox:

        def say(*words: str, answer: str = "") -> Said:
            said = tundish("--config", sandbox.config, *words, answer=answer)
            assert said.code == 0, said.err
            return said

        say("sync")
        plan = say("plan", "--json").json
        fix = next(c for c in plan["changes"] if c["rule"] and c["account"] == "hubspot")
        say("note", fix["change_id"][:8], NOTE, "--by", "ana")
        say("note", plan["plan_id"], "checked with sales")
        applied = say("apply", plan["plan_id"], "--rule", fix["rule"], "--account", "hubspot", "--yes", "--json")
        few = say("apply", plan["plan_id"], "--max", "3", answer="y\n")
        between = say("plan", "show", "--json").json
        record = f"{fix['account']}:{fix['target']}:{fix['vendor_id']}"
        undone = say("undo", "--record", record, "--field", fix["field"], "--yes", "--json")
        again = say("undo", "--record", record, "--field", fix["field"], "--yes")
        listed = say("plans", "--json").json["plans"]
        sandbox.clock.advance(60)
        since, runs = f"{sandbox.clock.utc():%Y-%m-%dT%H:%M:%S}", []
        for _ in range(2):
            runs.append(say("apply", plan["plan_id"], "--account", "salesforce", "--max", "2", "--yes", "--json").json["run"])
            sandbox.clock.advance(60)
        back = say("undo", "--since", since, "--yes", "--json")
        yield Review(sandbox, plan, fix, applied, few, between, undone, again, listed, since, runs, back)


# -- approval in parts ------------------------------------------------------------------------------------------------------
def test_a_part_is_applied_and_the_answer_says_what_stays_open(review: Review) -> None:
    ids = {c["change_id"] for c in review.plan["changes"] if (c["rule"], c["account"]) == (review.fix["rule"], "hubspot")}
    assert {o["change_id"] for o in review.applied.json["details"]} == ids
    assert review.applied.json["remaining"] == len(review.plan["changes"]) - len(ids)
    assert "Write 3 changes to 1 accounts?" in review.few.out
    assert f"{len(review.plan['changes']) - len(ids) - 3:,} changes of the plan stay open" in review.few.out
    assert f"3 changes of its {len(review.plan['changes']):,} on" in review.few.out  # only what will be written is shown


def test_what_became_of_each_change_is_shown(review: Review) -> None:
    settled = [s["status"] for s in review.between["states"].values()]
    assert (review.between["status"], review.between["expired"], set(settled)) == ("partial", False, {"applied"})
    assert review.between["changes"] == review.plan["changes"]
    other = next(i for i in review.between["states"] if i != review.fix["change_id"])
    assert f"{other[:8]}  applied  " in review.say("plan", "show", "--only", other).out


def test_a_choice_that_fits_nothing_is_told(review: Review) -> None:
    for words in (["apply", "latest", "--only", "nobody"], ["plan", "show", "--record", "hubspot:contacts:0"]):
        said = review.say(*words)
        assert (said.code, "matches no change" in said.err) == (2, True)
    assert review.say("apply", "latest", "--record", "hubspot", "--yes").code == 2
    assert "did you mean" in review.say("plan", "--rule", "S02").err
    assert "tundish plan show 3fa9" in review.say("plan", "3fa9").err
    assert "write the options after `show`" in review.say("plan", "--rule", "S-02", "show").err


# -- showing ----------------------------------------------------------------------------------------------------------------
def test_a_plan_is_grouped_and_filtered(review: Review) -> None:
    fix = review.fix
    by_rule = review.say("plan", "show", "--by", "rule", "--rule", fix["rule"]).out
    assert by_rule.startswith(fix["rule"])
    assert f"(chosen: --rule {fix['rule']})" in by_rule
    chosen = review.say("plan", "show", "--record", review.record(), "--json").json
    assert {c["vendor_id"] for c in chosen["changes"]} == {fix["vendor_id"]}
    assert chosen["of"] == len(review.plan["changes"])
    few = list(csv.DictReader(io.StringIO(review.say("plan", "show", "--max", "5", "--format", "csv").out)))
    assert len(few) == 5


def test_notes_stand_in_every_format_and_steer_nothing(review: Review) -> None:
    shown = {f: review.say("plan", "show", "--format", f).out for f in ("table", "md", "html", "csv", "json")}
    for format_, text in shown.items():
        assert "checked with sales" in text or format_ == "csv"
        assert "\x1b" not in text
        assert "jane" not in text
    assert "&lt;b&gt;ask" in shown["html"]
    assert "\\<b\\>ask" in shown["md"]
    [row] = [r for r in csv.DictReader(io.StringIO(shown["csv"])) if r["notes"]]
    assert (row["change_id"], row["notes"][:7]) == (review.fix["change_id"], "ana: =1")
    assert {n["author"] for n in json.loads(shown["json"])["notes"]} >= {"ana"}


def test_the_list_of_plans_says_what_is_open(review: Review) -> None:
    [row] = review.listed
    assert (row["plan_id"], row["status"], row["notes"]) == (review.plan["plan_id"], "partial", 1)
    assert row["open"] == row["changes"] - len(review.between["states"])
    assert row["plan_id"] in review.say("plans").out


def test_a_page_is_written_to_a_file(review: Review) -> None:
    file = review.sandbox.home / "plan.html"
    assert review.say("plan", "show", "--format", "html", "--output", str(file)).out == f"wrote {file}\n"
    assert "<title>Lumen &amp; Loom (sandbox): Plan</title>" in file.read_text()


# -- undo of a part, and the trail --------------------------------------------------------------------------------------------
def test_one_field_of_one_record_is_taken_back_once(review: Review) -> None:
    [run] = review.undone.json["runs"]
    assert (run["outcomes"], run["details"][0]["change_id"]) == ({"undone": 1}, review.fix["change_id"])
    assert "nothing is left to take back for --field" in review.again.out
    live = review.sandbox.emulators["hubspot"].dump()
    assert review.fix["before"] in json.dumps(live)


def test_the_audit_trail_says_who_when_why_before_after_and_what_was_taken_back(review: Review) -> None:
    fix = review.fix
    apply_, undo = (r for r in review.say("audit", "--only", fix["change_id"], "--json").json["changes"])
    assert (apply_["before"], apply_["after"], apply_["outcome"]) == (fix["before"], fix["after"], "applied")
    assert (undo["before"], undo["after"], undo["outcome"]) == (fix["after"], fix["before"], "undone")
    assert apply_["undo"] == f"{undo['run']} undone"
    assert (apply_["rule"], apply_["why"], undo["why"]) == (fix["rule"], fix["why"], f"undo of {apply_['run']}")
    assert apply_["who"] == undo["who"] != ""
    assert apply_["when"].startswith("2026-06-30T00:00")


def test_the_audit_trail_is_a_table_and_a_sheet_and_can_be_cut(review: Review) -> None:
    rows = list(csv.DictReader(io.StringIO(review.say("audit", "--until", review.since, "--format", "csv").out)))
    assert len(rows) == len(review.applied.json["details"]) + 3 + 1
    assert review.say("audit", "--since", "2026-07-02").out == "nothing was written\n"
    assert review.say("audit", "--account", "closed since").out == "nothing was written that fits --account closed since\n"
    assert review.say("audit", "--until", "2026-06-30").out == "nothing was written\n"


def test_without_a_run_undo_goes_through_every_run_since_the_newest_first(review: Review) -> None:
    of = {r["id"]: r["of"] for r in review.say("undo", "--list", "--json").json["runs"]}
    done = [(of[run["run"]], run["outcomes"]) for run in review.back.json["runs"]]
    assert done == [(run, {"undone": 2}) for run in reversed(review.runs)]
    assert review.say("undo", "--since", review.since, "--rule", "D-01", "--yes", "--json").json["outcomes"] == {}
    assert review.say("undo", review.runs[0], "--since", review.since, "--yes").code == 2
