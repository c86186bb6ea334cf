"""Erasing, pulling and compacting at the same moment: nobody comes back, nothing is lost, nothing fails half way."""

from __future__ import annotations

import os
from pathlib import Path

from sandbox_hub import standing, tundish
from test_lake import NOW, Shelf, rows

from core.lake import Lake
from jobs import steps
from jobs.leases import held


def test_an_append_survives_a_deletion_by_another_process(tmp_path: Path) -> None:
    """Delta refuses the commit of who looked at the table before rows were deleted; looking again is enough."""
    shelf = Shelf(tmp_path)
    shelf.put("person", ["1", "2"])
    pulling = Lake(tmp_path / "the lake's", shelf.ledger)
    assert pulling.kinds() == ["person"]  # it has the table open
    shelf.lake.remove("person", "vendor_id = '1'")
    pulling.append("person", rows(shelf.ledger.open_batch("r", "hubspot", "contacts", NOW), ["3"]))
    shelf.put("person", ["4"])
    assert {row["vendor_id"] for row in shelf.lake.versions("person").to_pyarrow().to_pylist()} >= {"2", "4"}
    pulling.close()


def test_nobody_is_forgotten_while_a_pull_has_them_in_hand(tmp_path: Path) -> None:
    """The pull read the tombstones when it began, and would store the person again."""
    with standing(tmp_path, size=3, vendors=["mailchimp"]) as sandbox:
        steps.run_sync(sandbox.hub, quiet=True)
        found = sandbox.hub.lake.sql("SELECT resource, vendor_id FROM person LIMIT 1").to_pylist()[0]
        words = ("--config", sandbox.config, "forget", f"mailchimp:{found['resource']}:{found['vendor_id']}", "--yes")
        with held(sandbox.hub.ledger, "pull:mailchimp", sandbox.hub.clock):
            said = tundish(*words)
            assert said.code == 6, said.out
            assert "pull:mailchimp is being run by" in said.err
        assert tundish(*words).code == 0
        steps.run_sync(sandbox.hub, full=True, quiet=True)
        gone = sandbox.hub.lake.sql(f"SELECT count(*) AS n FROM person_versions WHERE vendor_id = '{found['vendor_id']}'").to_pylist()
        assert gone == [{"n": 0}]


def test_what_a_killed_writer_left_behind_is_removed_once_it_is_old(tmp_path: Path) -> None:
    """It may hold the rows of people who asked to be forgotten since."""
    shelf = Shelf(tmp_path)
    shelf.put("person", ["1"])
    folder = tmp_path / "the lake's" / "person"
    own = next(folder.glob("*.parquet"))
    for name, age_s in (("old.parquet", 30 * 86_400), ("young.parquet", 60)):
        (folder / name).write_bytes(own.read_bytes())
        stamp = own.stat().st_mtime - age_s
        os.utime(folder / name, (stamp, stamp))
    shelf.lake.vacuum(0)
    assert (folder / "old.parquet").exists()
    shelf.lake.vacuum(168)
    assert sorted(f.name for f in folder.glob("*.parquet")) == sorted([own.name, "young.parquet"])
    shelf.lake.close()
