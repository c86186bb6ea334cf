"""The hashes by which a pull knows what it has seen, and the index over them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pulled import Place, Toy, person

from core.fingerprints import Index, Marks, marks_of

KNOWN_ID = 9512911734743177430
KNOWN_CONTENTS = [2055328841485059276, 13067075729743137391]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path, Toy([person(i) for i in range(1, 9)], [{"id": "f1", "name": "Acme", "size": 5}]))
    yield made
    made.close()


def test_hashes_are_the_ones_the_lake_was_written_with(place: Place) -> None:
    """When this fails after an upgrade of DuckDB, every row would be appended once more: a decision, not an accident."""
    table = pa.table(
        {"vendor_id": ["1", "1"], "first_name": ["Ann", "Bob"], "deleted": [False, False], "merged_into": pa.nulls(2, pa.string())}
    )
    marks = marks_of(place.lake.connect(threads=1), "person", table)
    assert marks.ids.tolist() == [KNOWN_ID] * 2
    assert marks.contents.tolist() == KNOWN_CONTENTS


def test_an_unmapped_or_empty_column_changes_no_hash(place: Place) -> None:
    engine = place.lake.connect(threads=1)
    table = pa.table({"vendor_id": ["1"], "first_name": ["Ann"], "deleted": [False], "merged_into": pa.nulls(1, pa.string())})
    wider = table.append_column("phone", pa.nulls(1, pa.string())).append_column("links", pa.array([[]], pa.list_(pa.string())))
    assert marks_of(engine, "person", table).contents == marks_of(engine, "person", wider).contents


def test_the_index_agrees_with_a_dictionary() -> None:
    rng = np.random.default_rng(7)
    index, model = Index(), dict[int, int]()
    for _ in range(40):
        ids = rng.permutation(np.unique(rng.integers(0, 500, 60).astype(np.uint64)))
        contents = rng.integers(0, 9, len(ids)).astype(np.uint64)
        index.put(Marks(ids, contents, np.ones(len(ids), np.uint8)))
        model |= dict(zip(ids.tolist(), contents.tolist(), strict=True))
        asked = rng.permutation(np.arange(600, dtype=np.uint64))
        known, found, _ = index.find(asked)
        assert {int(i): int(c) for i, k, c in zip(asked, known, found, strict=True) if k} == model
    assert len(index) == len(model)


def test_the_index_says_which_ids_a_pass_listed_before() -> None:
    index = Index()
    for part in ([5, 3], [9, 1, 7]):
        index.put(Marks(np.array(part, np.uint64), np.zeros(len(part), np.uint64), np.full(len(part), 5, np.uint8)))
    assert index.see(np.array([9, 3, 9, 2, 3], np.uint64), 1).tolist() == [False, False, True, False, True]
    assert index.see(np.array([7, 9], np.uint64), 1).tolist() == [False, True]
    assert index.unseen().tolist() == [1, 5]
