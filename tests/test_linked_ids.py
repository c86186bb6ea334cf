"""What a vendor is asked about by ids that only other systems' records carry."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pulled import MAPPING, NOW, Place, Toy, mapping, person

from core.lake_links import linked_ids

LINKED = MAPPING.replace(
    "merged_ids: {path: merged, read: list}", "merged_ids: {path: merged, read: list}\n      links: {toy.visitors: wid, toy.users: uid}"
)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path, Toy([person(1, wid="v1"), person(2, wid="v2", uid="u2"), person(3, wid="v1"), person(4)]))
    yield made
    made.close()


def test_each_id_is_named_once_however_many_accounts_carry_it(place: Place) -> None:
    assert list(linked_ids(place.lake, "toy", "visitors")) == []
    place.pull(mapping=mapping(LINKED))
    place.pull(mapping=mapping(LINKED), account="toy-two")
    assert list(linked_ids(place.lake, "toy", "visitors", size=1)) == [["v1"], ["v2"]]
    assert list(linked_ids(place.lake, "toy", "users")) == [["u2"]]
    assert list(linked_ids(place.lake, "to", "visitors")) == []


def test_what_a_record_no_longer_carries_or_a_deleted_one_carried_is_not_named(place: Place) -> None:
    place.pull(mapping=mapping(LINKED))
    place.toy.people = [person(1, wid="v9"), person(2, wid="v2", gone=True), person(3), person(4)]
    place.pull(mapping=mapping(LINKED), now=NOW + timedelta(days=1), full=True)
    assert list(linked_ids(place.lake, "toy", "visitors")) == [["v9"]]


def test_a_read_can_ask_for_them(place: Place) -> None:
    place.pull(mapping=mapping(LINKED))
    place.pull(mapping=mapping(LINKED), now=NOW + timedelta(days=1))
    assert list(place.toy.asked[-1].linked_ids("visitors")) == [["v1", "v2"]]
