"""Resources of the user's own making: checked where they stand, read with their options, read whole again when those change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pulled import Place, connector

from core.checked import Written
from core.connector import Ask, Connector, Page, Resource
from core.errors import UserError
from core.mapping import Mapping, compile_mapping

TEXT = """
vendor: toy
reads:
  eu: {like: report, of: europe, top: 2, key: name}
resources:
  eu: {kind: company, fields: {name: name}}
"""


class Report(Written):
    of: str
    """Which part of the world."""
    top: int = 10
    key: str | None = None


def read(toy: Any, ask: Ask) -> Iterator[Page]:
    rows = [{"id": str(i), "name": f"{ask.reads.of} {i}"} for i in range(ask.reads.top)]
    yield Page(json.dumps(rows).encode(), "", {"v": 1}, total=len(rows))


def vendor() -> Connector:
    toy = connector()
    return replace(toy, resources=(*toy.resources, Resource("report", read, template=Report)))


def mapped(text: str = TEXT) -> Mapping:
    return compile_mapping(text, vendor(), name="toy.yaml")


def test_a_made_resource_is_read_with_its_options_and_its_own_key(tmp_path: Path) -> None:
    place = Place(tmp_path)
    assert [c.kept for c in place.pull(connector=vendor(), mapping=mapped()).counts] == [2]
    found = place.lake.sql("SELECT resource, vendor_id, name FROM company ORDER BY name").to_pylist()
    assert found == [{"resource": "eu", "vendor_id": f"europe {i}", "name": f"europe {i}"} for i in (0, 1)]
    place.close()


def test_a_template_is_not_read_itself_and_cannot_be_mapped() -> None:
    with pytest.raises(UserError, match=r"toy.yaml:4:3: toy has no resource 'report'"):
        mapped("\nvendor: toy\nresources:\n  report: {kind: company, fields: {name: name}}\n")
    assert [r.name for r in vendor().readable(mapped().reads)] == ["people", "firms", "eu"]


def test_changed_options_make_the_resource_be_read_whole_again(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.pull(connector=vendor(), mapping=mapped())
    [count] = place.pull(connector=vendor(), mapping=mapped(TEXT.replace("top: 2", "top: 3"))).counts
    assert (count.kept, count.appended, count.reason) == (3, 1, "the mapping changed: read whole")
    place.close()


def test_every_mistake_in_reads_is_told_at_its_place() -> None:
    text = """
vendor: toy
reads:
  eu: {like: report, off: europe, top: many}
  us: {like: reprot, of: usa}
  people: {like: report, of: asia}
resources:
  eu: {kind: company, fields: {name: name}}
  people: {kind: person, fields: {first_name: name}}
"""
    with pytest.raises(UserError) as caught:
        mapped(text)
    lines = [line.strip() for line in str(caught.value).splitlines() if "toy.yaml" in line]
    assert all(line.startswith(("toy.yaml:4:", "toy.yaml:5:", "toy.yaml:6:")) for line in lines)
    assert {line.partition(": ")[2] for line in lines} == {
        "the key 'of' is missing",
        "unknown key 'off'; did you mean 'of'?",
        "expected a whole number",
        "nothing is made of it; map 'us' under `resources`",
        "unknown template 'reprot'; did you mean 'report'?",
        "'people' is the name of a resource toy has already",
    }


def test_a_vendor_with_fixed_resources_says_so() -> None:
    with pytest.raises(UserError, match="fixed resources"):
        compile_mapping(TEXT, connector())
