"""Moves of deals that were taken back: out of a closed stage, or there and back within a day."""

from __future__ import annotations

import ibis

from core.rules.deal_moves import period
from core.rules.history import deal_steps
from core.rules.rule import Context, Rule, side
from core.tables import further, seconds_between

_RECORD = ["entity_id", "account", "resource", "vendor_id"]
_CLOSED = ["M80", "M85"]


def _back_soon(ctx: Context, t: ibis.Table) -> ibis.Value:
    """Did the move undo the one before it, within a day? A mis-click then, for everything that counts moves."""
    day = float(ctx.limit("quiet_backward_hours")) * 3600
    return t.value.identical_to(t.before_last) & (seconds_between(t.prev_at, t.at) < day)


def _reopened(ctx: Context) -> ibis.Table:
    t = deal_steps(ctx)
    t = t.filter(t.prev_code.isin(_CLOSED), further(t.code) < "M80", ~_back_soon(ctx, t), t.at <= ctx.quiet)
    t = t.mutate(booked=period(ctx, t.prev_at.date()) < period(ctx, t.at.date()))
    last = t.group_by(*_RECORD).agg(
        value=t.prev_value.concat(" → ", t.value).argmax(t.seq), closed_at=t.prev_at.argmax(t.seq), at=t.at.max(), booked=t.booked.any()
    )
    note = ibis.literal("closed on ").concat(last.closed_at.date().cast("string"), ibis.ifelse(last.booked, ", in a period now booked", ""))
    return side(last, "deal", "stage", note=note, severity=ibis.ifelse(last.booked, "S1", "S2"))


def _bounced(ctx: Context) -> ibis.Table:
    t = deal_steps(ctx)
    t = t.filter(_back_soon(ctx, t))
    last = t.group_by(*_RECORD).agg(
        value=t.before_last.concat(" → ", t.prev_value, " → ", t.value).argmax(t.seq), at=t.at.max(), times=t.count()
    )
    return side(last, "deal", "stage", note=last.times.cast("string").concat(" times"))


RULES = (
    Rule(
        "S-08", "Closed deal opened again", "S1", "What was reported as won or lost is open again; the period it was closed in changes.",
        _reopened, question="Is the deal really open again? Both episodes are kept either way.", flag="reopened",
        example="A deal that was won in June was opened again in July: June's reports already have its amount.",
        exact="A deal went from a won or lost stage back to an open one and had been closed for a day or longer. S1 where it was closed in "
        "an earlier forecast period than it was opened again in, S2 within one period.",
    ),
    Rule(
        "S-10", "Bounced stage", "S4", "A stage entered and left again within a day says nothing about speed.", _bounced,
        example="A deal was dragged to Closed Lost by mistake and back to Proposing two minutes later.",
        exact="A deal went from one stage to another and back again within `quiet_backward_hours`.",
    ),
)  # fmt: skip
