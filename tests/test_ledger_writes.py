"""What the ledger remembers of our writes: the last one of a field, those that came again, and no more than was asked for."""

from __future__ import annotations

import os
import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import insert

from core import ledger_tables as t
from core.change import Written
from core.ledger import Ledger
from core.ledger_echo import bases, keep_bases
from core.ledger_writes import SharedFields, last_named, last_writes, repeated_writes

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
LONG = int(os.environ.get("TUNDISH_OUTCOMES") or "2000")  # 200000 is what a busy year leaves


def push(field: str, source: str, owned: bool = False) -> SimpleNamespace:
    return SimpleNamespace(target="deals", field=field, source=source, owned=owned)


SHARED = SharedFields(
    {"hs": SimpleNamespace(targets=[SimpleNamespace(name="deals", resource="deals")])},  # type: ignore[dict-item]
    {"hs": SimpleNamespace(push=[push("amount", "amount"), push("dealstage", "stage"), push("tundish_stage", "stage", True)])},  # type: ignore[dict-item]
)


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    opened = Ledger(url)
    yield opened
    opened.close()


def wrote(
    ledger: Ledger, run: str, hours: float, *rows: tuple[str, str, str | None, str], status: str = "applied", policy: str = "most_recent",
    plan: str = "",
) -> None:  # fmt: skip
    """A run that came so many hours after NOW; its rows are (deal, field, before, after). `plan`: of an earlier run, which it undoes."""
    at, of, named = NOW + timedelta(hours=hours), plan or run, ("vendor_id", "field", "before", "after")
    with ledger.write() as c:
        c.execute(insert(t.apply_run), {"id": run, "plan_id": of, "kind": "apply", "started_at": at, "status": "done"})
        if not plan:
            same = {"plan_id": of, "account": "hs", "target": "deals", "why": "", "detail": {"policy": policy, "type": "text"}}
            c.execute(
                insert(t.change),
                [{**same, "change_id": f"c{i}", "position": i, **dict(zip(named, r, strict=True))} for i, r in enumerate(rows)],
            )
        c.execute(insert(t.outcome), [{"apply_id": run, "change_id": f"c{i}", "status": status, "at": at} for i in range(len(rows))])


def test_the_last_write_of_each_field_that_is_asked_for(ledger: Ledger) -> None:
    wrote(ledger, "one", 0, ("1", "amount", "1", "2"), ("1", "dealstage", "a", "b"), ("2", "amount", None, "9"))
    wrote(ledger, "two", 24, ("1", "amount", "2", "3"))
    asked = [("hs", "deals", "1", "amount"), ("hs", "deals", "3", "amount")]
    assert last_writes(ledger, asked, NOW + timedelta(days=2)) == {asked[0]: Written("3", NOW + timedelta(hours=24), "2")}
    assert last_writes(ledger, asked, NOW + timedelta(hours=1)) == {asked[0]: Written("2", NOW, "1")}
    assert last_writes(ledger, [], NOW) == {}


def test_an_undo_comes_after_the_write_it_took_back(ledger: Ledger) -> None:
    wrote(ledger, "one", 0, ("1", "amount", "1", "2"))
    wrote(ledger, "back", 2, ("1", "amount", "1", "2"), status="undone", plan="one")
    [last] = last_writes(ledger, [("hs", "deals", "1", "amount")], NOW + timedelta(days=1)).values()
    assert last == Written("2", NOW + timedelta(hours=2), "1", undone=True)


def test_what_was_derived_or_never_reached_the_vendor_was_not_written(ledger: Ledger) -> None:
    wrote(ledger, "one", 0, ("1", "amount", "1", "2"), policy="derived")
    wrote(ledger, "two", 1, ("1", "amount", "1", "2"), status="drifted")
    assert last_writes(ledger, [("hs", "deals", "1", "amount")], NOW + timedelta(days=1)) == {}


def test_fields_are_named_as_we_name_them_where_a_mapping_writes_them(ledger: Ledger) -> None:
    wrote(ledger, "one", 0, ("1", "dealstage", "a", "b"))
    keys = [("hs", "deals", "1", "stage"), ("hs", "deals", "1", "owner_id"), ("crm", "deals", "1", "stage")]
    assert last_named(ledger, SHARED, keys, NOW) == {keys[0]: Written("b", NOW, "a")}


def test_only_fields_with_one_value_written_again_over_another_are_told_of_and_with_all_their_writes(ledger: Ledger) -> None:
    for day in range(2):
        wrote(ledger, f"night{day}", 24 * day, ("1", "amount", "1", "2"), ("2", "amount", "1", str(day)), ("3", "tundish_stage", "a", "b"))
    wrote(ledger, "back", 30, ("1", "amount", "1", "2"), status="undone", plan="night1")
    [(key, ours)] = repeated_writes(ledger, SHARED, 2, NOW + timedelta(days=9))
    assert key == ("hs", "deals", "1", "amount")
    assert [(w.value, w.undone) for w in ours] == [("2", False), ("2", False), ("2", True)]
    assert list(repeated_writes(ledger, SHARED, 3, NOW + timedelta(days=9))) == []
    assert list(repeated_writes(ledger, SharedFields({}, {}), 2, NOW)) == []


def test_a_long_history_is_not_read_into_memory(tmp_path: Path) -> None:
    """LONG writes in nights of 500; what is held of them while they are asked for does not grow with them."""
    ledger = Ledger(tmp_path / "ledger.db")
    for night in range(LONG // 500):
        wrote(
            ledger,
            f"night{night:05}",
            24 * night,
            *((str(500 * (night % 40) + i), "amount", str(night), str(night + 1)) for i in range(500)),
        )
    asked, end = [("hs", "deals", str(i), "amount") for i in range(50)], NOW + timedelta(days=LONG)
    keep_bases(ledger, ((f"hs:deals:{i}|sf:Opportunity:{i}", "amount", "1") for i in range(LONG)), NOW)
    for name, ask in {
        "last writes": lambda: last_writes(ledger, asked, end), "repeated writes": lambda: list(repeated_writes(ledger, SHARED, 2, end)),
        "bases": lambda: bases(ledger, end).num_rows,
    }.items():  # fmt: skip
        began = time.process_time()
        tracemalloc.start()
        found: Any = ask()
        peak = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
        print(f"{name} of {LONG:,}: {time.process_time() - began:.2f} s, {peak:.1f} MB")
        assert found == LONG if name == "bases" else len(found) == (50 if name == "last writes" else 0)
    ledger.close()
