"""What people type that is almost right, and plans that came too late: told so that the next try works."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from sandbox_hub import standing, tundish

from core.errors import UserError
from jobs import steps
from jobs.commands import writing
from jobs.instants import Instant


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("2026-06-01", datetime(2026, 6, 1, tzinfo=UTC)),
        ("2026-06-01T09:30:00Z", datetime(2026, 6, 1, 9, 30, tzinfo=UTC)),
        ("2026-06-01T09:30", datetime(2026, 6, 1, 9, 30, tzinfo=UTC)),
        ("2026-06-01 09:30:00+02:00", datetime(2026, 6, 1, 7, 30, tzinfo=UTC)),
    ],
)
def test_an_instant_is_read_as_people_write_it(typed: str, meant: datetime) -> None:
    assert Instant().convert(typed, None, None) == meant


@pytest.mark.parametrize("typed", ["yesterday", "", "0001-01-01T00:00+14:00", "9999-12-31T23:00-14:00"])
def test_what_is_no_instant_is_answered_with_how_to_write_one(typed: str) -> None:
    with pytest.raises(click.BadParameter, match="write 2026-06-01"):
        Instant().convert(typed, None, None)


def test_an_account_s_name_is_answered_with_one_that_would_do(tmp_path: Path) -> None:
    with standing(tmp_path, size=1, vendors=["mailchimp"]) as sandbox:
        text = sandbox.config.read_text()
        sandbox.config.write_text(text.replace("  mailchimp:\n", "  Mail Chimp:\n"))
        said = tundish("--config", sandbox.config, "check", "--offline")
        assert said.code == 2
        assert "small letters, digits, - and _" in said.err
        assert "mail_chimp" in said.err
        sandbox.config.write_text(text.replace("    vendor: mailchimp\n", "    vendor: mailchimp\n    resources: []\n"))
        said = tundish("--config", sandbox.config, "check", "--offline")
        assert said.code == 2
        assert "an empty list reads nothing" in said.err


def test_two_accounts_with_one_key_are_warned_of(tmp_path: Path) -> None:
    with standing(tmp_path, size=1, vendors=["mailchimp"]) as sandbox:
        text = sandbox.config.read_text()
        begins, ends = text.index("  mailchimp:"), text.index("lake:")
        twin = text[begins:ends].replace("  mailchimp:", "  second:")
        sandbox.config.write_text(text[:ends] + twin + text[ends:])
        warned = [c for c in tundish("--config", sandbox.config, "check", "--json").json["checks"] if c["level"] == "warning"]
        assert {c["account"] for c in warned if "the same settings as" in c["text"]} == {"mailchimp", "second"}


def test_a_plan_that_outlived_itself_is_refused_and_listed_as_expired(tmp_path: Path) -> None:
    with standing(tmp_path, size=3, vendors=["mailchimp"]) as sandbox:
        steps.run_sync(sandbox.hub, quiet=True)
        plan = steps.run_plan(sandbox.hub)
        assert plan.changes
        sandbox.clock.advance(72 * 3600 + 1)
        said = tundish("--config", sandbox.config, "apply", plan.plan_id, "--yes", "--allow-large")
        assert said.code == 4
        assert "expired at" in said.err
        assert not sandbox.writes()
        assert [p["status"] for p in tundish("--config", sandbox.config, "plans", "--json").json["plans"]] == ["expired"]


def test_a_question_that_nobody_could_answer_says_how_to_do_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """In cron or a pipe: not "stopped", as if somebody had said no."""
    monkeypatch.setattr("sys.stdin", io.StringIO("y\nn\n"))
    writing._ask("Write 3 changes?")
    with pytest.raises(click.Abort):
        writing._ask("Write 3 changes?")
    with pytest.raises(UserError, match="nobody answered") as told:
        writing._ask("Write 3 changes?")
    assert told.value.next_step == "add --yes and the id"
