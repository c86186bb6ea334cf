"""Mistakes in a mapping: all of them at once, each on one line with its place and a suggestion."""

from __future__ import annotations

import pytest
from described_vendors import HUBSPOT

from core.errors import UserError
from core.mapping import compile_mapping

TEN_MISTAKES = """vendor: hubspot
resources:
  contcts: {kind: person}
  contacts:
    kind: person
    fields:
      emial: properties.email
      score: {path: properties.x, raed: number}
      updated_at: {path: updatedAt, read: dat}
      marketable: {path: properties.y, values: {yes: maybe}}
    stage: {path: properties.s, table: lifecyle}
  deals:
    kind: dael
stages:
  lifecycle:
    won: M81
push:
  contact: {}
  contacts:
    tundish_stage: {from: stag}
"""


def test_ten_mistakes_give_ten_lines_with_places_and_suggestions() -> None:
    with pytest.raises(UserError) as caught:
        compile_mapping(TEN_MISTAKES, HUBSPOT, name="m.yaml")
    assert str(caught.value).splitlines() == [
        "m.yaml:3:3: hubspot has no resource 'contcts'; did you mean 'contacts'?",
        "m.yaml:7:7: unknown field of a person 'emial'; did you mean 'email'?",
        "m.yaml:8:35: unknown key 'raed'; did you mean 'read'?",
        "m.yaml:9:43: unknown value 'dat'; did you mean 'date'?",
        "m.yaml:10:54: 'maybe' is not a boolean",
        "m.yaml:11:40: unknown stage table 'lifecyle'; did you mean 'lifecycle'?",
        "m.yaml:13:11: unknown value 'dael'; did you mean 'deal'?",
        "m.yaml:16:10: unknown milestone 'M81'; did you mean 'M85'?",
        "m.yaml:18:3: hubspot has no target 'contact'; did you mean 'contacts'?",
        "m.yaml:20:27: unknown value to push 'stag'; did you mean 'stage'?",
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("vendor: [hubspot", "m.yaml:1:17: not valid YAML"),
        ("vendor: hubspot\nvendor: hubspot", "m.yaml:2:1: duplicate key 'vendor' (first on line 1)"),
        ("vendor: !!python/name:os.system hubspot", "m.yaml:1:9: the tag"),
        ("- vendor", "m.yaml:1:1: expected a block of keys"),
        ("version: 1", "m.yaml:1:1: the key 'vendor' is missing"),
        ("vendor: salesforce", "m.yaml:1:9: this mapping is for 'salesforce'"),
        ("vendor: hubspot\nresources: {contacts: {kind: person, fields: {email: 3}}}", "m.yaml:2:54: expected a path"),
        ("vendor: hubspot\nresources: {contacts: {kind: person, fields: {email: {read: email}}}}", "m.yaml:2:54: either `path` or `const`"),
        ("vendor: hubspot\nresources: {contacts: {kind: person, fields: {email: ^.x}}}", "m.yaml:2:54: ^ leads out of a list item"),
        ("vendor: hubspot\nresources: {contacts: {kind: person, feilds: {}}}", "m.yaml:2:38: unknown key 'feilds'; did you mean 'fields'?"),
        ("vendor: hubspot\nresources: {contacts: {kind: person, each: h}}", "m.yaml:2:38: records made from a list need an `id`"),
        ("vendor: hubspot\nresources: {contacts: {kind: person, fields: {vendor_id: id}}}", "m.yaml:2:47: 'vendor_id' is not mapped"),
        (
            "vendor: hubspot\nresources: {contacts: {kind: person, fields: {score: {path: x, read: text}}}}",
            "m.yaml:2:70: this field is a number",
        ),
        ("vendor: hubspot\nstages: {t: {a: [{milestone: M10}, {milestone: M20}]}}", "m.yaml:2:36: two meanings of 'a'"),
        ("vendor: hubspot\npush: {contacts: {tags: {from: stage, type: tags, values: {M10: a}}}}", "m.yaml:2:19: tags need a `prefix`"),
    ],
)
def test_each_mistake_is_one_line_with_its_place(text: str, line: str) -> None:
    with pytest.raises(UserError) as caught:
        compile_mapping(text, HUBSPOT, name="m.yaml")
    assert len(str(caught.value).splitlines()) == 1
    assert str(caught.value).startswith(line)
