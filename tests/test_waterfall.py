"""The waterfall adds up, whatever happened to the deals; and each deal stands in one bucket."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

import duckdb
import ibis
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_measure import LOST, WON, Measured, deal
from unified_rows import row

from core.measure import measure, rows
from core.measure.waterfall import SIGNS, bucketed, closing, sums, totals

TO = datetime(2026, 6, 30, tzinfo=UTC)
FROM = datetime(2026, 4, 1, tzinfo=UTC)
STATE = {
    "in_0": pa.bool_(), "in_1": pa.bool_(), "amount_0": pa.int64(), "amount_1": pa.int64(), "ended": pa.string(), "born": pa.bool_(),
    "code_1": pa.string(),
}  # fmt: skip
CENTS = st.integers(0, 10**12)


def test_r17_the_published_waterfall() -> None:
    parts = {"new": 1_501_878, "up": 180_171, "moved in": 149_382, "moved out": 0, "lost": 271_125, "down": 556_292, "won": 287_487}
    assert closing(1_257_559, parts) == 1_974_086


SCHEMA = pa.schema(list(STATE.items()))


def arrow(made: Sequence[tuple[Any, ...]]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(STATE, one, strict=True)) for one in made], schema=SCHEMA)


@st.composite
def changed(draw: Any) -> tuple[Any, ...]:
    """What may become of a deal between two days."""
    first, last = draw(st.booleans()), draw(st.booleans())
    ended = draw(st.sampled_from([None, "won", "lost"]))
    code = "M50" if last or draw(st.booleans()) else None  # open on the last day, perhaps due elsewhere
    amounts = (draw(CENTS) if first else None, draw(CENTS) if code else None)
    return (first, last, *amounts, ended, not first and draw(st.booleans()), code)


@cache
def engine() -> tuple[Any, str]:
    """The query once, and not for every example."""
    return duckdb.connect(), ibis.to_sql(sums(bucketed(ibis.table(ibis.Schema.from_pyarrow(SCHEMA), name="deals"))), dialect="duckdb")


def compiled(deals: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    connection, sql = engine()
    connection.register("deals", arrow(deals))
    found: list[dict[str, Any]] = connection.execute(sql).to_arrow_table().to_pylist()
    return found


@settings(max_examples=100, deadline=None)
@given(st.lists(changed(), min_size=1, max_size=30))
def test_it_always_adds_up(deals: list[tuple[Any, ...]]) -> None:
    found = totals(compiled(deals))  # asserts the identity itself
    cents = {name: round(amount * 100) for name, (amount, _) in found.items()}
    assert closing(sum(d[2] or 0 for d in deals if d[0]), cents) == sum(d[3] or 0 for d in deals if d[1]) == cents["end"]
    assert all(cents[name] >= 0 for name in SIGNS)
    moved = [d for d in deals if d[0] != d[1] or (d[0] and d[2] != d[3])]
    assert sum(n for name, (_, n) in found.items() if name in SIGNS) == len(moved)  # one bucket each


FATES = [
    ((True, False, 100, None, "won", False, None), "won"),
    ((True, False, 100, None, "lost", False, None), "lost"),
    ((True, False, 100, 100, None, False, "M50"), "moved out"),  # still open, due later
    ((True, False, 100, 100, "lost", False, "M50"), "moved out"),  # lost, opened again, due later
    ((False, True, None, 100, None, False, "M50"), "moved in"),
    ((False, True, None, 100, None, True, "M50"), "new"),
    ((True, True, 100, 150, None, False, "M50"), "up"),
    ((True, True, 100, 50, None, False, "M50"), "down"),
    ((True, True, 100, 100, None, False, "M50"), None),
    ((False, False, None, None, "won", True, None), None),  # created and won in between
]


@pytest.mark.parametrize(("state", "bucket"), FATES)
def test_each_fate_has_one_bucket(state: tuple[Any, ...], bucket: str | None) -> None:
    assert [r["bucket"] for r in compiled([state])] == [bucket]


def history(id: str, **fields: list[tuple[str, str]]) -> list[dict[str, Any]]:
    return [
        row("stage_change", "salesforce", f"{id}{field}{at}", record_kind="deal", record_id=id, field=field, value=value,
            stage=value if field == "stage" else None, entered_at=at)
        for field, changes in fields.items()
        for at, value in changes
    ]  # fmt: skip


DEALS = [
    deal("won", amount=120, created_at="2026-02-01", close_date="2026-05-10", **WON),
    deal("lost", amount=0, created_at="2026-02-01", close_date="2026-05-11", **LOST),
    deal("out", amount=300, created_at="2026-02-01", close_date="2026-09-01"),
    deal("in", amount=400, created_at="2026-02-01", close_date="2026-06-20"),
    deal("up", amount=550, created_at="2026-02-01", close_date="2026-06-01"),
    deal("down", amount=600, created_at="2026-02-01", close_date="2026-06-01", stage="M60"),
    deal("new", amount=700, created_at="2026-05-01", close_date="2026-06-01"),
    deal("inside", amount=800, created_at="2026-05-01", close_date="2026-05-20", **WON),
]
BORN = "2026-02-01"
CHANGES = [
    change
    for id, fields in {
        "won": {"stage": [(BORN, "M50"), ("2026-05-10", "M80")], "amount": [(BORN, "100"), ("2026-05-10", "120")]},
        "lost": {"stage": [(BORN, "M50"), ("2026-05-11", "M85")], "amount": [(BORN, "200"), ("2026-05-11", "0")]},
        "out": {"stage": [(BORN, "M50")], "amount": [(BORN, "300")], "close_date": [(BORN, "2026-06-01"), ("2026-05-01", "2026-09-01")]},
        "in": {"stage": [(BORN, "M50")], "amount": [(BORN, "400")], "close_date": [(BORN, "2026-08-01"), ("2026-05-01", "2026-06-20")]},
        "up": {"stage": [(BORN, "M50")], "amount": [(BORN, "500"), ("2026-05-01", "550")]},
        "down": {"stage": [(BORN, "M50"), ("2026-05-02", "M60")], "amount": [(BORN, "650"), ("2026-05-01", "600")]},
        "new": {"stage": [("2026-05-01", "M50")], "amount": [("2026-05-01", "700")]},
        "inside": {"stage": [("2026-05-01", "M50"), ("2026-05-20", "M80")], "amount": [("2026-05-01", "800")]},
    }.items()
    for change in history(id, **{"close_date": [(fields["stage"][0][0], "2026-06-01")], **fields})
]


@pytest.fixture(scope="module")
def hub() -> Measured:
    return Measured(TO, None, ("waterfall", "movement"), deal=DEALS, stage_change=CHANGES)


def test_a_quarter_from_the_histories(hub: Measured) -> None:
    due = {r["dimensions"]["bucket"]: (r["value"], r["n"]) for r in hub.all("waterfall", due="2026-Q2")}
    assert due == {
        "start": (1750, 5), "new": (700, 1), "up": (50, 1), "moved in": (400, 1), "moved out": (300, 1), "lost": (200, 1), "down": (50, 1),
        "won": (100, 1), "end": (2250, 4),
    }  # fmt: skip
    every = {r["dimensions"]["bucket"]: r["value"] for r in hub.all("waterfall", due="any")}
    assert (every["start"], every["moved in"], every["moved out"], every["end"]) == (2150, 0, 0, 2550)
    assert hub.one("waterfall_in_between")["value"] == 800
    assert [hub.one("waterfall_moves", move=move)["value"] for move in ("forward", "back")] == [1, 0]
    assert hub.all("waterfall")[0]["excluded"] == {}


def test_each_bucket_lists_its_deals(hub: Measured) -> None:
    def behind(bucket: str, due: str = "2026-Q2") -> set[str]:
        return hub.behind("waterfall", due=due, bucket=bucket)

    assert behind("moved out") == {"out"}
    assert behind("end") == {"in", "up", "down", "new"}
    assert behind("start", "any") == {"won", "lost", "out", "in", "up", "down"}


def test_two_days_of_ones_own(hub: Measured) -> None:
    span = (FROM, datetime(2026, 5, 5, tzinfo=UTC))
    found = measure(hub.facts, {}, TO, ("waterfall",), span).to_pylist()
    due = {json.loads(r["dimensions"])["bucket"]: r["value"] for r in found if '"due": "2026-Q2"' in r["dimensions"]}
    assert (due["start"], due["won"], due["lost"], due["new"], due["end"]) == (1750, 0, 0, 1500, 3350)
    listed = rows(hub.facts, {}, TO, "waterfall", {"due": "2026-Q2", "bucket": "won", "from": "2026-04-01", "to": "2026-05-05"})
    assert listed.count().execute() == 0


def test_slippage_is_what_left_the_quarter_of_what_was_due_in_it(hub: Measured) -> None:
    found = hub.one("slippage", period="2026-Q2")
    assert (found["numerator"], found["denominator"]) == (300, 1750)
    assert found["excluded"] == {"period": "not over yet"}
    assert hub.one("due_won", period="2026-Q2")["numerator"] == 100
    assert hub.one("slippage", period="2026-Q1")["value"] is None


def test_pushes_and_pulls(hub: Measured) -> None:
    assert (hub.one("pushed", times="1")["numerator"], hub.one("pushed", times="2")["numerator"]) == (1, 0)
    moved = {r["dimensions"]["what"]: r["value"] for r in hub.all("close_date_moves")}
    assert moved == {"times": 1, "pulls": 1, "days": 92}
    assert hub.behind("pushed", times="1") == {"out"}


def test_without_histories_both_days_show_todays_amounts() -> None:
    bare = Measured(TO, None, ("waterfall",), deal=[deal("o", amount=100, created_at="2026-02-01")])
    found = bare.one("waterfall", due="2026-Q2", bucket="start")
    assert (found["value"], found["excluded"]) == (100, {"no history of amount or close date: today's on both days": 1})
