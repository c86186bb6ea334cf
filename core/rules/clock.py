"""Time and sync health: two writers that fight over one field."""

from __future__ import annotations

from functools import reduce
from operator import and_

import ibis

from core.rules.rule import Context, Rule, side, sides
from core.tables import seconds_between

_RECORD = ("account", "resource", "vendor_id")


def _ping_pong(ctx: Context) -> ibis.Table:
    """A field that went to and fro between two values, each time by the other of two writers.

    `ping_pong_times` moves in a row within `ping_pong_days`: A→B→A→B are three.
    """
    times = max(2, int(ctx.limit("ping_pong_times")))
    t = ctx.facts["changes"]
    order = {"group_by": ["kind", "account", "vendor_id", "field"], "order_by": "seq"}

    def ago(column: str, n: int) -> ibis.Value:
        return t[column].lag(n).over(**order) if n else t[column]

    values = [ago("value", k) == ago("value", k + 2) for k in range(times - 1)]
    writers = [ago("writer", k) == ago("writer", k + 2) for k in range(times - 2)]
    differ = [ago("value", 0) != ago("value", 1), ago("writer", 0) != ago("writer", 1)]
    marked = t.mutate(fights=reduce(and_, [*values, *writers, *differ]), began=ago("at", times - 1), other=ago("value", 1))
    hit = marked.filter(marked.fights, seconds_between(marked.began, marked.at) <= float(ctx.limit("ping_pong_days")) * 86400)
    hit = hit.mutate(pair=hit.other.concat(" ↔ ", hit.value))
    thawed = ctx.facts["thawed"].select(*_RECORD, "field", thawed_at="at")
    hit = hit.left_join(thawed, [*_RECORD, "field"], rname="th_{name}")
    hit = hit.filter(hit.thawed_at.isnull() | (hit.began > hit.thawed_at))
    last = hit.group_by("entity_id", "account", "resource", "vendor_id", "field", entity_kind="kind").agg(
        value=hit.pair.argmax(hit.seq), at=hit.at.max(), writer=hit.writer.argmax(hit.seq)
    )
    note = ibis.literal("last written by ").concat(last.writer)
    return sides(side(last, "", last.field, entity_kind=last.entity_kind, note=note), _we_fight(ctx).anti_join(last, [*_RECORD, "field"]))


def _we_fight(ctx: Context) -> ibis.Table:
    """Fields the hub wrote again because somebody put the old value back: known from the ledger, where no history names writers."""
    m = ctx.facts["members"]
    m = m.filter(m.live).select("entity_id", *_RECORD, entity_kind="kind")
    t = ctx.facts["fought"].inner_join(m, list(_RECORD))
    return side(t, "", t.field, entity_kind=t.entity_kind, note="the hub writes it again and again")


RULES = (
    Rule(
        "T-05", "Ping-pong", "S1", "Two integrations overwrite each other; whatever we write will not stand.", _ping_pong,
        question="Which integration owns this field? Switch the other one off for it, then `tundish thaw`.", flag="frozen",
        example="HubSpot's amount went 10,000, 12,000, 10,000, 12,000 within a week, by the Salesforce sync and by us in turns.",
        exact="A field went to and fro between two values `ping_pong_times` in a row within `ping_pong_days`, each time by the other of "
        "two writers, or the hub wrote one value over the same other one so often; and nobody thawed it since.",
    ),
)  # fmt: skip
