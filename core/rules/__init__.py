"""The catalogue of discrepancies: rules as data, one module per family. A new rule is one more value in its family's RULES."""

from __future__ import annotations

from core.rules import (
    clock,
    clock_dates,
    clock_sync,
    config,
    config_labels,
    config_owners,
    config_stages,
    consent,
    deal,
    deal_gaps,
    deal_moves,
    deal_numbers,
    events,
    events_campaigns,
    events_leads,
    events_told,
    experiments,
    experiments_counts,
    identity,
    stage,
    stage_moves,
    stage_people,
)
from core.rules.rule import Context, Rule

__all__ = ["RULES", "Context", "Rule"]

_FAMILIES = (
    identity, stage, stage_moves, stage_people, deal, deal_gaps, deal_moves, deal_numbers, consent, events, events_campaigns,
    events_leads, events_told, clock, clock_dates, clock_sync, experiments, experiments_counts, config, config_labels, config_owners,
    config_stages,
)  # fmt: skip
RULES: dict[str, Rule] = {rule.id: rule for family in _FAMILIES for rule in family.RULES}
