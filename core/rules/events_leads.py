"""What web analytics and CRM say of leads: tests among them, where they came from, and how many there were."""

from __future__ import annotations

import ibis

from core.rules.rule import Context, Rule, side

_RECORD = ("account", "resource", "vendor_id")


def _not_real(ctx: Context) -> ibis.Table:
    """Records of colleagues and tests that stand at lead or further in some system."""
    p = ctx.facts["person"]
    p = p.filter(p.excluded, p.stage.notnull(), p.stage >= "M20", p.stage != "MX").select("entity_id")
    t = ctx.facts["people"]
    t = t.filter(t.stage.notnull(), t.stage >= "M20", t.stage != "MX").semi_join(p, "entity_id")
    return side(t, "person", "stage", value=ibis.coalesce(t.raw_stage, t.stage), at=t.created_at)


RULES = (
    Rule(
        "E-08", "Test or colleague counted as a lead", "S3", "Reports of the system itself count it; ours leave it out.", _not_real,
        fix="left out of all numbers here", question="Is it a test? Take the stage away or delete the record where it lies.",
        exact="An address that `exclude` in the funnel names (own domains, test patterns) stands at lead or further on some record.",
    ),
)  # fmt: skip
