"""What a user may type or do that nobody should: refused with a sentence, never half done."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

from sandbox_hub import contents, standing, tundish, tundish_process


def test_an_as_of_in_the_future_is_refused(tmp_path: Path) -> None:
    with standing(tmp_path, size=8, vendors=["mailchimp"]) as sandbox:
        for words in (("reconcile", "--as-of", "2099-01-01"), ("report", "all", "--as-of", "2099-01-01", "--format", "json")):
            said = tundish("--config", sandbox.config, *words)
            assert said.code == 2, said.out
            assert "lies in the future" in said.err


def test_two_syncs_at_once_leave_one_complete_lake(tmp_path: Path) -> None:
    """The second one is told who has the account, or comes after the first; nothing is doubled."""
    with standing(tmp_path, size=8, vendors=["mailchimp"]) as sandbox:
        spawn = multiprocessing.get_context("spawn")
        words = ("--config", str(sandbox.config), "sync", "--json")
        both = [spawn.Process(target=tundish_process, args=(words, str(tmp_path / f"said{i}"))) for i in range(2)]
        for process in both:
            process.start()
        for process in both:
            process.join(120)
        codes = sorted(process.exitcode or 0 for process in both)
        assert codes[0] == 0
        assert codes[1] in (0, 3, 6)
        before = contents(sandbox.hub)
        rows = sandbox.hub.lake.versions("person").count().execute()
        assert tundish("--config", sandbox.config, "sync", "--json").code == 0
        assert (contents(sandbox.hub), sandbox.hub.lake.versions("person").count().execute()) == (before, rows)
