"""Configuration: stages that are no longer what they were when somebody mapped them."""

from __future__ import annotations

import ibis

from core.rules.rule import Context, Rule, side, sides
from core.rules.stages_known import defined, stage_name


def _stale(ctx: Context) -> ibis.Table:
    """A finding per stage and change: what is accepted is accepted until the next one. `stage_map`: core.stage_map."""
    d = defined(ctx)
    d = d.mutate(entity_id=stage_name(d), key=ibis.coalesce(d.pipeline_id.concat("/", d.raw_stage), d.raw_stage))
    said = ctx.facts["stage_map"].select("account", "resource", "key", was="label", chance="probability")
    own = d.inner_join(said, ["account", "resource", "key"])
    bare = d.anti_join(said, ["account", "resource", "key"]).mutate(key="raw_stage").inner_join(said, ["account", "resource", "key"])
    t = ibis.union(own, bare)
    renamed = t.filter(_plain(t.label) != _plain(t.was))
    moved = t.filter((t.probability - t.chance).abs() > 1e-6)
    now, then = _percent(moved.probability), _percent(moved.chance)
    return sides(
        side(renamed, "stage", "label", part=renamed.label, value=renamed.label, note=_was(renamed.was)),
        side(moved, "stage", "probability", part=now, value=now, note=_was(then)),
    )


def _plain(text: ibis.Value) -> ibis.Value:
    return text.strip().lower()


def _percent(share: ibis.Value) -> ibis.Value:
    return (share * 100).round(1).cast("string").concat(" %")


def _was(before: ibis.Value) -> ibis.Value:
    return ibis.literal("mapped as ").concat(before)


RULES = (
    Rule(
        "G-02", "Stage map stale", "S3", "Who renames a stage often gives it another meaning; the mapping still has the old one.", _stale,
        question="Does the stage still mean what the mapping says? Accept this, or set `label` (or `probability`) and milestone in the "
        "mapping's stage table.",
        example="The mapping calls the stage `contractsent` \"Contract sent\"; in the portal it is \"Verbal yes\" by now.",
        exact="A stage has another label, or another default probability, than its line in the mapping's stage table says it had "
        "(its label and probability). Lines that say neither are left alone; capitals do not matter.",
    ),
)  # fmt: skip
