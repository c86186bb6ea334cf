"""docs/rules.md says of every rule when it fires and what it asks of the thresholds."""

from __future__ import annotations

import re
from functools import cache

from core.rules import RULES
from core.thresholds import DEFAULTS
from jobs import rule_pages


@cache
def page() -> str:
    return rule_pages.text()


def section(rule: str) -> str:
    return page().split(f"\n### {rule} ")[1].split("\n<a id=")[0]


def test_every_rule_has_a_section_that_says_when_why_an_example_and_what_to_do() -> None:
    for rule in RULES.values():
        said = section(rule.id)
        assert rule.exact, rule.id
        assert f"- **When**: {rule.exact}" in said
        assert f"- **Why**: {rule.why}" in said
        assert len(rule.example) > 40, rule.id
        assert f"- **For example**: {rule.example}" in said
        assert any(f"- **{word}**" in said for word in ("Safe fix", "Question", "Fix"))
        assert not rule.fix or "**Safe fix**" in said
        assert not rule.question or rule.question in said


def test_thresholds_are_found_by_looking_at_what_a_rule_asks_for() -> None:
    asked = rule_pages.thresholds()
    assert asked["D-12"] == ["activity_days", "activity_days_closing"]
    assert "`activity_days` 21; `activity_days_closing` 14" in section("D-12")
    assert {name for names in asked.values() for name in names} <= set(DEFAULTS)


def test_what_a_rule_mentions_in_its_sentence_is_a_threshold_it_asks_for_or_a_policy() -> None:
    asked = rule_pages.thresholds()
    for rule in RULES.values():
        for name in re.findall(r"`(\w+)`", rule.exact):
            assert name in asked[rule.id], f"{rule.id} speaks of {name}"
