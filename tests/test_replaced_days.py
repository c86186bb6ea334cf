"""Days that are read again are replaced: changed values as new versions, vanished ones marked deleted, other days left alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pulled import Place, Toy, connector

from core.connector import Ask, Connector, Page, Resource
from core.errors import VendorUnavailable
from core.mapping import Mapping, compile_mapping

TEXT = """
vendor: toy
resources:
  visits:
    kind: tally
    fields: {day: day, measure: {const: visits}, value: n, dimensions: from}
"""


@dataclass
class Counter(Toy):
    """Visits by day and origin; `windows` are the spans the next read asks for, one page each."""

    days: dict[str, dict[str, Any]] = field(default_factory=dict)
    windows: list[tuple[str, str]] = field(default_factory=list)
    breaks_at: int = -1

    def visits(self, ask: Ask) -> Iterator[Page]:
        start = (ask.state or {}).get("done", 0) if (ask.state or {}).get("open") else 0
        for i, (first, last) in list(enumerate(self.windows))[start:]:
            if i == self.breaks_at:
                raise VendorUnavailable("gone for a while")
            rows = [
                {"id": f"{day}/{origin}", "day": day, "from": origin, "n": n}
                for day, origins in self.days.items()
                if first <= day <= last
                for origin, n in origins.items()
            ]
            state = {"v": 1, "done": i + 1, "open": i + 1 < len(self.windows)}
            covers = (date.fromisoformat(first), date.fromisoformat(last))
            yield Page(json.dumps(rows).encode(), "", state, total=len(rows), pass_name=f"{first}/{last}", covers=covers)


def vendor() -> Connector:
    return replace(connector(), resources=(Resource("visits", lambda toy, ask: toy.visits(ask), cursor="day", deletes="sweep"),))


def mapped(text: str = TEXT) -> Mapping:
    return compile_mapping(text, vendor())


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    days = {f"2026-05-{n:02}": {"ads": n, "mail": n * 10} for n in range(1, 11)}
    made = Place(tmp_path, Counter(days=days, windows=[("2026-05-01", "2026-05-10")]))
    yield made
    made.close()


def pull(place: Place, **options: Any) -> Any:
    [count] = place.pull(connector=vendor(), mapping=options.pop("mapping", None) or mapped(), **options).counts
    return count


def live(place: Place) -> dict[str, float]:
    rows = place.lake.sql("SELECT vendor_id, value FROM tally WHERE NOT deleted").to_pylist()
    return {row["vendor_id"]: row["value"] for row in rows}


def test_a_day_read_again_is_replaced_and_its_old_values_stay_in_the_log(place: Place) -> None:
    pull(place)
    before, toy = live(place), place.toy
    toy.windows = [("2026-05-09", "2026-05-10")]
    toy.days["2026-05-10"] = {"mail": 101}  # ads vanished, mail was restated
    toy.days["2026-05-08"] = {"ads": 9_999}  # not read again: what we know stays
    count = pull(place)
    assert (count.status, count.appended, count.deleted) == ("done", 2, 1)
    assert live(place) == {k: v for k, v in before.items() if k != "2026-05-10/ads"} | {"2026-05-10/mail": 101}
    versions = place.lake.sql("SELECT vendor_id, value, deleted FROM tally_versions WHERE day = '2026-05-10' ORDER BY version").to_pylist()
    assert [(r["vendor_id"][11:], r["value"], r["deleted"]) for r in versions] == [
        ("ads", 10, False), ("mail", 100, False), ("mail", 101, False), ("ads", 10, True),
    ]  # fmt: skip
    assert pull(place).appended == 0


def test_a_day_that_has_nothing_any_more_is_emptied(place: Place) -> None:
    pull(place)
    place.toy.windows, place.toy.days["2026-05-10"] = [("2026-05-10", "2026-05-10")], {}
    assert pull(place).deleted == 2
    assert len(live(place)) == 18


def test_a_value_that_comes_back_lives_again(place: Place) -> None:
    pull(place)
    place.toy.windows, place.toy.days["2026-05-10"] = [("2026-05-10", "2026-05-10")], {"mail": 100}
    pull(place)
    place.toy.days["2026-05-10"] = {"ads": 10, "mail": 100}
    assert pull(place).appended == 1
    assert live(place)["2026-05-10/ads"] == 10


def test_when_most_values_vanish_at_once_a_second_read_must_say_so(place: Place) -> None:
    pull(place)
    place.toy.days = {day: {} for day in place.toy.days}
    first = pull(place)
    assert (first.status, first.deleted) == ("done", 0)
    assert "20 of 20 values" in first.reason
    assert len(live(place)) == 20
    assert pull(place).deleted == 20
    assert live(place) == {}


def test_other_ids_after_a_change_of_the_mapping_replace_the_old_ones_at_once(place: Place) -> None:
    pull(place)
    count = pull(place, mapping=mapped(TEXT.replace("kind: tally", "kind: tally\n    id: [from, day]")))
    assert (count.appended, count.deleted) == (40, 20)
    assert sorted(live(place))[0] == "ads:2026-05-01"
    assert len(live(place)) == 20


def test_an_interrupted_read_replaces_nothing_until_it_was_finished(place: Place) -> None:
    pull(place)
    toy = place.toy
    toy.windows, toy.breaks_at = [("2026-05-09", "2026-05-09"), ("2026-05-10", "2026-05-10")], 1
    toy.days["2026-05-09"], toy.days["2026-05-10"] = {"mail": 90}, {"mail": 100}
    with pytest.raises(VendorUnavailable):
        pull(place, batch_rows=1)
    assert len(live(place)) == 20
    toy.breaks_at = -1
    assert pull(place).deleted == 2  # one of each day: the first window was not read again
    assert sorted(k for k in live(place) if k[:10] >= "2026-05-09") == ["2026-05-09/mail", "2026-05-10/mail"]


def test_rows_that_cannot_be_read_stop_the_search_for_vanished_ones(place: Place) -> None:
    strict = mapped(TEXT.replace("dimensions: from", "dimensions: {path: from, values: {ads: ads, mail: mail}, else: reject}"))
    pull(place, mapping=strict)
    place.toy.windows, place.toy.days["2026-05-10"] = [("2026-05-10", "2026-05-10")], {"new": 1}
    count = pull(place, mapping=strict)
    assert (count.rejected, count.deleted) == (1, 0)
    assert "rejected rows" in count.reason
    assert len(live(place)) == 20
