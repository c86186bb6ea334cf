"""Who was put aside and came back later is counted again: a new episode with its own first entries.

An episode ends with the disqualification (MX); the next begins with the first evidence of a rung from lead on after it, if that comes
`episode_days` or more later. What comes sooner goes on with the same episode.
"""

from __future__ import annotations

import ibis

from core.measure.metric import Scope, pairs
from core.model import LADDER
from core.tables import MOMENT, days_between, instant, keep, stack

LEAD = "M20"
_ENTRY = {"entity_id": "string", "code": "string", "reached_at": MOMENT, "episode": "int64"}


def entries(scope: Scope) -> ibis.Table:
    """(entity_id, code, reached_at, episode): first dated entries of those who count, and evidence without a date, by episode (1, 2)."""
    again = came_back(scope)
    if again is None:
        return ever(scope)
    m = ever(scope).left_join(again, "entity_id").drop("entity_id_right")
    # What has no date is the state of today, and so of the last episode.
    second = m.again_at.notnull() & m.reached_at.isnull()
    before = m.filter(m.again_at.isnull() | second | (m.reached_at < m.again_at)).mutate(episode=ibis.ifelse(second, 2, 1))
    later = _evidence(scope, again).filter(lambda t: t["at"] >= t.again_at)
    first = later.group_by("entity_id", "code").agg(reached_at=later["at"].min()).mutate(episode=ibis.literal(2))
    return stack([before, first], _ENTRY)


def ever(scope: Scope) -> ibis.Table:
    """The same where all of a person's life is one episode."""
    m = scope.facts["milestone"]
    m = m.filter(m.kind == "person", ~m.implied).semi_join(scope.persons, "entity_id")
    return m.select("entity_id", "code", "reached_at", episode=ibis.literal(1, "int64"))


def came_back(scope: Scope) -> ibis.Table | None:
    """(entity_id, again_at) of those who did; None where nobody did, so that no query grows by it."""
    return scope.once("came back", lambda: _again(scope))


def _again(scope: Scope) -> ibis.Table | None:
    m = scope.facts["milestone"]
    gone = m.filter(m.kind == "person", m.code == "MX", m.reached_at.notnull()).select("entity_id", gone_at="reached_at")
    if not int(gone.count().execute()):
        return None
    t = _evidence(scope, gone).filter(lambda t: t["at"] > t.gone_at)
    back = t.group_by("entity_id").agg(again_at=t["at"].min(), gone_at=t.gone_at.min())
    days = days_between(back.gone_at, back.again_at)
    back = keep(back.filter(days >= float(scope.choice("episode_days"))))
    return back.select("entity_id", "again_at") if pairs(back.agg(n=back.count()))[0]["n"] else None


def _evidence(scope: Scope, of: ibis.Table) -> ibis.Table:
    """(entity_id, code, at, and the columns of `of`): all dated evidence of rungs, their own, by touches and by deals, of these persons."""
    c, t, m = scope.facts["changes"], scope.facts["touches"], scope.facts["milestone"]
    c = c.filter(c.kind == "person").select("entity_id", "code", "at")
    t = t.filter(t.stage.notnull()).select("entity_id", code="stage", at="occurred_at")
    m = m.filter(m.kind == "deal", ~m.implied).select("code", deal="entity_id", at="reached_at")
    m = m.inner_join(scope.facts["deal_person"], "deal").select("code", "at", entity_id="person").select("entity_id", "code", "at")
    every = ibis.union(c, t, m)
    every = every.filter(
        every.code.isin([code for code in LADDER if code >= LEAD]), every["at"].notnull(), every["at"] <= instant(scope.as_of)
    )
    return every.inner_join(of, "entity_id")
