"""Records of one deal in several accounts, as pairs: the one the policy believes (a) beside each of the others (b)."""

from __future__ import annotations

import ibis

from core.rules.rule import Context, one_side, prefixed, sides
from core.tables import ranked

_COLUMNS = (
    "entity_id", "account", "vendor", "resource", "vendor_id", "created_at", "updated_at", "result", "stage", "raw_stage",
    "pipeline_id", "pipeline_stage", "amount", "currency", "close_date", "owner_email", "owner_id", "stage_entered_at",
)  # fmt: skip


def mirrors(ctx: Context, field: str, filled: str | None = None) -> ibis.Table:
    """One row per (leader, other account's record): columns a_… and b_…, and `part` (the other account) for the finding.

    Only records with a value in `filled` take part: nothing drifts from a blank.
    """
    t = ctx.facts["deals"].select(*_COLUMNS)
    if filled:
        t = t.filter(t[filled].notnull())
    t = t.mutate(changed_at=_changed_at(ctx, t, field))
    order = ranked(t, ctx.policy(field)[1])
    t = t.mutate(place=ibis.row_number().over(group_by="entity_id", order_by=order))
    a = prefixed(t.filter(t.place == 0).drop("place"), "a_", "entity_id")
    b = prefixed(t.filter(t.place > 0).drop("place"), "b_", "entity_id")
    pairs = a.inner_join(b, "entity_id")
    return pairs.filter(pairs.a_account != pairs.b_account).mutate(part=pairs.b_account)


def _changed_at(ctx: Context, deals: ibis.Table, field: str) -> ibis.Value:
    """Since when the record can have this value: the stage's own date where there is one, else the record's last change."""
    return ibis.coalesce(deals.stage_entered_at, deals.updated_at) if field == "stage" else deals.updated_at


def pair_sides(pairs: ibis.Table, field: str, column: str, *, fix: ibis.Value | None = None, before: str | None = None) -> ibis.Table:
    """Both ends as sides of one finding; a fix, if any, is for the other record (b)."""
    common = {"part": pairs.part, "note": pairs["note"] if "note" in pairs.columns else None}
    a = one_side(pairs, "a_", "deal", field, value=pairs[f"a_{column}"], at=pairs.a_changed_at, **common)
    b = one_side(
        pairs, "b_", "deal", field, value=pairs[f"b_{column}"], at=pairs.b_changed_at, fix_value=fix,
        fix_before=pairs[f"b_{before}"] if before else None, fix_pipeline=pairs.b_pipeline_id if fix is not None else None, **common,
    )  # fmt: skip
    return sides(a, b)


def decided_sides(
    ctx: Context, pairs: ibis.Table, field: str, column: str, *, fix: str = "", before: str = "", allowed: ibis.Value | bool = True,
    believed: bool = True,
) -> ibis.Table:  # fmt: skip
    """Both ends as sides of one finding. What `core.merge` decided is the fix of the end that has to follow, where `allowed`.

    fix, before: columns without their end, where they are not `column`; `believed`: without a decision the first end is right.
    """
    p = pairs if "wins" in pairs.columns else with_decision(ctx, pairs, field, believed=believed)
    ends = []
    for end, other in (("a", "b"), ("b", "a")):
        value = ibis.ifelse((p.wins == other) & allowed, p[f"{other}_{fix or column}"].cast("string"), ibis.null("string"))
        there = ibis.ifelse(value.notnull(), p[f"{end}_{before}"], ibis.null("string")) if before else None
        line = ibis.ifelse(value.notnull(), p[f"{end}_pipeline_id"], ibis.null("string"))
        ends.append(
            one_side(
                p, f"{end}_", "deal", field, part=p.part, value=p[f"{end}_{column}"], at=p[f"{end}_changed_at"],
                fix_value=value, fix_before=there, fix_pipeline=line, note=p["note"] if "note" in p.columns else None,
            )
        )  # fmt: skip
    told = one_side(p, "b_", "deal", field, part=p.part, value=p[f"b_{column}"], at=p.b_changed_at, note=p.decision)
    return sides(*ends, told.filter(told["note"].notnull()))


def with_decision(ctx: Context, pairs: ibis.Table, field: str, *, believed: bool = True) -> ibis.Table:
    """The pairs with `wins` (a, b, or "" for a person) and why: `decision`."""
    said = ctx.policy(field)[0]
    default = "a" if believed and said in (None, "source_of_truth", "prefer_unless_blank") else ""
    known = ctx.facts["merged"].filter(lambda t: t.field == field).drop("field")
    p = pairs.left_join(known, ["entity_id", "b_account", "b_resource", "b_vendor_id"], rname="m_{name}")
    wins = ibis.coalesce(p.wins, default) if believed else ibis.literal("")
    return p.mutate(wins=wins, decision=p.decision.nullif(""))


def settled(pairs: ibis.Table, since: ibis.Value) -> ibis.Table:
    """Pairs that neither side touched after the instant."""
    return pairs.filter(pairs.a_changed_at <= since, pairs.b_changed_at <= since)


def money(amount: ibis.Value) -> ibis.Value:
    """1250.500000 → "1250.5": a number's one spelling."""
    return amount.cast("string").re_replace(r"(\.[0-9]*[1-9])0+$|\.0*$", r"\1")
