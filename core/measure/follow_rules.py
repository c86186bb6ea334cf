"""What to do next, as a list: of each person or deal the first rule that holds, over the columns of `core.measure.follow_up`.

Due dates are counted from what happened, never from today: so they stand still until something does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import ibis

from core.tables import MOMENT

HOUR, DAY = 3600.0, 86400.0


@dataclass(frozen=True)
class Ground:
    """The table the conditions are about, the instant, and the funnel's `follow_up` numbers."""

    t: ibis.Table
    now: ibis.Value
    limit: Mapping[str, float]
    slow: Callable[[ibis.Value], ibis.Value]  # of a stage: the days after which a deal is stalled
    lost_words: str  # a regular expression; "": none
    told: Mapping[str, bool]  # is it kept at all: activity (of persons), deal_activity, planned

    def ago(self, name: str, seconds: float = DAY) -> ibis.Value:
        return self.after(self.now, -self.limit[name] * seconds)

    def after(self, at: ibis.Value, seconds: float | ibis.Value) -> ibis.Value:
        span = ibis.interval(seconds=round(seconds)) if isinstance(seconds, float | int) else seconds.cast("int64").as_interval("s")
        return at.cast(MOMENT) + span


@dataclass(frozen=True)
class Rule:
    name: str
    of: str  # person or deal
    state: str
    why: str
    action: str
    when: Callable[[Ground], ibis.Value]
    due: Callable[[Ground], ibis.Value] | None = None


def _new_inbound(g: Ground) -> ibis.Value:
    """Came to us lately, is not worked yet, and sales has not been in touch since."""
    answered = (g.t.sales_at >= g.t.inbound_at).fill_null(False)
    waiting = g.t.inbound_at.notnull() & (g.t.inbound_at >= g.ago("inbound_days")) & ~answered
    return g.t.stage.isin(["M20", "M30"]) & waiting & ibis.literal(g.told["activity"])


def _not_accepted(g: Ground) -> ibis.Value:
    return (g.t.stage == "M30") & (g.t.stage_at < g.ago("accept_hours", HOUR))


def _no_reply(g: Ground) -> ibis.Value:
    replied = (g.t.inbound_at >= g.t.stage_at).fill_null(False)
    return (g.t.stage == "M35") & (g.t.attempts >= g.limit["attempts"]) & (g.t.stage_at < g.ago("attempts_days")) & ~replied


def _no_deal(g: Ground) -> ibis.Value:
    return (g.t.stage == "M40") & (g.t.open_deals == 0) & (g.t.stage_at < g.ago("qualify_days"))


def _open(g: Ground) -> ibis.Value:
    return g.t.outcome == "open"


def _in(g: Ground, stage: str) -> ibis.Value:
    return _open(g) & (g.t.pipeline_stage == stage)


def _single_contact(g: Ground) -> ibis.Value:
    return _in(g, "Qualifying") & (g.t.persons < 2)


def _came_back(g: Ground) -> ibis.Value:
    return _in(g, "Proposing") & (g.t.back_at >= g.ago("quiet_days"))


def _quiet_proposal(g: Ground) -> ibis.Value:
    last = ibis.coalesce(g.t.worked_at, g.t.stage_entered_at)
    return _in(g, "Proposing") & (last < g.ago("quiet_days")) & ibis.literal(g.told["deal_activity"])


def _no_meeting(g: Ground) -> ibis.Value:
    close = g.t.close_date.cast(MOMENT)
    soon = (close >= g.now) & (close <= g.after(g.now, g.limit["closing_days"] * DAY))
    return _in(g, "Closing") & soon & g.t.planned_at.isnull() & ibis.literal(g.told["planned"])


def _past_due(g: Ground) -> ibis.Value:
    return _open(g) & (g.t.close_date < g.now.date())


def _stalled(g: Ground) -> ibis.Value:
    return _open(g) & (g.t.age_days > g.slow(g.t.stage))


def _lost_for_now(g: Ground) -> ibis.Value:
    if not g.lost_words:
        return ibis.literal(False) & _open(g)
    lately = g.t.close_date.cast(MOMENT) >= g.after(g.now, -(g.limit["lost_days"] + 30) * DAY)
    return (g.t.outcome == "lost") & g.t.lost_reason.lower().re_search(g.lost_words) & lately


def _won_lately(g: Ground) -> ibis.Value:
    close = g.t.close_date.cast(MOMENT)
    return (g.t.outcome == "won") & (close >= g.ago("onboarding_days")) & (close <= g.now)


def _renewal(g: Ground) -> ibis.Value:
    end = g.t.end_date.cast(MOMENT)
    return (g.t.outcome == "won") & (end >= g.now) & (end <= g.after(g.now, g.limit["renewal_days"] * DAY))


OPT_OUT = Rule("opt_out", "person", "any", "opted out of marketing", "personal reply only, no marketing", lambda g: ~g.t.marketable)
PERSONS = (
    Rule("respond", "person", "M20/M30", "new inbound, no sales touch", "call or write", _new_inbound,
         lambda g: g.after(g.t.inbound_at, g.limit["respond_hours"] * HOUR)),
    Rule("escalate", "person", "M30", "not accepted in time", "escalate or re-route", _not_accepted,
         lambda g: g.after(g.t.stage_at, g.limit["accept_hours"] * HOUR)),
    Rule("recycle", "person", "M35", "many attempts, no reply", "recycle to nurture, revisit later", _no_reply,
         lambda g: g.after(g.t.last_attempt_at, g.limit["revisit_days"] * DAY)),
    Rule("make_deal", "person", "M40", "qualified, no deal", "create a deal or disqualify", _no_deal,
         lambda g: g.after(g.t.stage_at, g.limit["qualify_days"] * DAY)),
)  # fmt: skip
DEALS = (
    Rule("second_contact", "deal", "Qualifying", "single contact", "add a second stakeholder", _single_contact,
         lambda g: g.after(ibis.coalesce(g.t.stage_entered_at, g.t.created_at), 7 * DAY)),
    Rule("call_today", "deal", "Proposing", "came back to the pricing page", "call today", _came_back,
         lambda g: g.t.back_at),
    Rule("follow_up", "deal", "Proposing", "no activity since the proposal", "follow up", _quiet_proposal,
         lambda g: g.after(ibis.coalesce(g.t.worked_at, g.t.stage_entered_at), (g.limit["quiet_days"] + 1) * DAY)),
    Rule("book_meeting", "deal", "Closing", "closes soon, no next meeting", "book the next meeting, agree on a mutual plan", _no_meeting,
         lambda g: g.after(g.t.close_date.cast(MOMENT), (2 - g.limit["closing_days"]) * DAY)),
    Rule("re_date", "deal", "open", "past its close date", "re-date or close", _past_due,
         lambda g: g.after(g.t.close_date.cast(MOMENT), DAY)),
    Rule("review", "deal", "open", "longer in its stage than nine of ten won deals", "manager review", _stalled,
         lambda g: g.after(g.t.stage_entered_at, (g.slow(g.t.stage) + 3) * DAY)),
    Rule("revisit", "deal", "Lost", "lost for now", "revisit, and nurture until then", lambda g: _lost_for_now(g) & g.t.mailable,
         lambda g: g.after(g.t.close_date.cast(MOMENT), g.limit["lost_days"] * DAY)),
    Rule("revisit_personally", "deal", "Lost", "lost for now; nobody on it may be mailed", "revisit in person", _lost_for_now,
         lambda g: g.after(g.t.close_date.cast(MOMENT), g.limit["lost_days"] * DAY)),
    Rule("onboard", "deal", "Won", "won lately", "onboarding", _won_lately,
         lambda g: g.after(g.t.close_date.cast(MOMENT), g.limit["onboarding_days"] * DAY)),
    Rule("renew", "deal", "Won", "ends soon", "renewal play", _renewal,
         lambda g: g.after(g.t.end_date.cast(MOMENT), -g.limit["renewal_days"] * DAY)),
)  # fmt: skip
RULES: Mapping[str, Rule] = {rule.name: rule for rule in (OPT_OUT, *PERSONS, *DEALS)}
