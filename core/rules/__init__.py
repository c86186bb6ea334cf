"""The catalogue of discrepancies: rules as data, one module per family. A new rule is one more value in its family's RULES."""

from __future__ import annotations

from core.rules import clock, config, consent, deal, events, identity, stage
from core.rules.rule import Context, Rule

__all__ = ["RULES", "Context", "Rule"]

RULES: dict[str, Rule] = {rule.id: rule for family in (identity, stage, deal, consent, events, clock, config) for rule in family.RULES}
