"""The catalogue of discrepancies: rules as data, one module per family. A new rule is one more value in its family's RULES."""

from __future__ import annotations

from core.rules import clock, config, consent, deal, deal_gaps, deal_moves, deal_numbers, events, identity, stage, stage_moves, stage_people
from core.rules.rule import Context, Rule

__all__ = ["RULES", "Context", "Rule"]

_FAMILIES = (
    identity, stage, stage_moves, stage_people, deal, deal_gaps, deal_moves, deal_numbers, consent, events, clock, config,
)  # fmt: skip
RULES: dict[str, Rule] = {rule.id: rule for family in _FAMILIES for rule in family.RULES}
