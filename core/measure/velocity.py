"""How deals move through the stages: time in each with its competing ends, and moves back, over a stage, and to and fro."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import ibis

from core.measure.durations import incidence, kaplan_meier
from core.measure.metric import Metric, Scope, pairs, share
from core.measure.spells import LOST, UNKNOWN, WON, leaders, stays
from core.tables import days_between, instant

_RUNGS = ("M50", "M60", "M70", "M80")
_ENDS = ("won", "forward", "lost", "back")
BOUNCE_HOURS = 24
_MOVES = {
    "regressed": "went back to an earlier stage",
    "skipped": "left out a stage (a rung between two of the ladder)",
    "bounced": f"went to a stage and back within {BOUNCE_HOURS} hours",
}


def measure(scope: Scope) -> Iterator[Metric]:
    yield from stage_ends(scope)
    yield from moves(scope)
    yield from cycle(scope)


def stage_ends(scope: Scope) -> Iterator[Metric]:
    """Where deals go from a stage and when: shares by day H, open ones as far as watched (Aalen-Johansen)."""
    s = stays(scope)
    s = s.filter(s.code != UNKNOWN)
    days = days_between(s.since, ibis.coalesce(s.until, instant(scope.as_of))).floor().cast("int64")
    end = ibis.cases((s.to.isnull(), 0), (s.to == WON, 1), (s.to == LOST, 3), (s.back, 4), else_=2)
    s = s.mutate(days=ibis.greatest(days, 0), end=end)
    rows = pairs(s.group_by("code", "days", "end", "sound").agg(n=s.count()).order_by("code", "days", "end"))
    for code in sorted({r["code"] for r in rows}):
        mine = [(float(r["days"]), int(r["end"]), int(r["n"])) for r in rows if r["code"] == code and r["sound"]]
        doubtful = sum(r["n"] for r in rows if r["code"] == code and not r["sound"])
        excluded = {"dates not believed": doubtful} if doubtful else {}
        found = incidence(mine, 4)
        for horizon in scope.choice("within_days"):
            for i, name in enumerate(_ENDS, 1):
                low, high = found.limits(float(horizon), i)
                words = "share of the deals in the stage that come to this end within the days; the ends compete (Aalen-Johansen)"
                dims = {"stage": code, "days": horizon, "end": name, "what": f"{name}, {horizon} d"}
                yield Metric("stage_end", words, dims, found.at(float(horizon), i), "share", found.n, low=low, high=high, excluded=excluded)
        curve = kaplan_meier([(t, int(end_ > 0), n) for t, end_, n in mine])
        median, low_, high_ = curve.quantile(0.5)
        words = "median days until a deal leaves the stage in any direction, open ones as far as watched (Kaplan-Meier)"
        yield Metric(
            "days_in_stage", words, {"stage": code}, median, "days", curve.n, curve.events, low=low_, high=high_, excluded=excluded
        )


def moves(scope: Scope) -> Iterator[Metric]:
    """Deals that ever moved: the share that went back, that left out a stage, and that was back within a day."""
    t = _moved(scope)
    row = pairs(t.agg(n=t.count(), **{name: t[name].sum() for name in _MOVES}))[0]
    nowhere = int(leaders(scope).count().execute()) - row["n"]
    excluded = {"never seen to move": nowhere} if nowhere else {}
    for name, what in _MOVES.items():
        yield share("deal_moves", f"deals that {what} ÷ deals seen to move", {"move": name}, row[name] or 0, row["n"], excluded=excluded)


def movers(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    """The deals behind a share of moves."""
    return _moved(scope).filter(lambda t: t[str(dims["move"])])


def _moved(scope: Scope) -> ibis.Table:
    s = stays(scope)
    s = s.filter(s.code != UNKNOWN, s.to.notnull())
    by = {"group_by": "entity_id", "order_by": "order"}
    rung = {code: i for i, code in enumerate(_RUNGS)}
    here = ibis.cases(*[(s.code == code, i) for code, i in rung.items()], else_=None)
    there = ibis.cases(*[((s.to == (WON if code == "M80" else code)), i) for code, i in rung.items()], else_=None)
    before, came = s.code.lag().over(**by), s.since
    hours = (s.until.epoch_seconds() - came.epoch_seconds()) / 3600.0
    s = s.mutate(
        regressed=s.back, skipped=(there - here > 1).fill_null(False), bounced=((s.to == before) & (hours < BOUNCE_HOURS)).fill_null(False)
    )
    return s.group_by("entity_id").agg(**{name: s[name].any() for name in _MOVES})


def cycle(scope: Scope) -> Iterator[Metric]:
    """Days from creation to won, of the won (the cycle), and with open and lost ones as competing (how long a deal takes to be won)."""
    s, d = stays(scope), leaders(scope)
    first = s.group_by("entity_id").agg(closed_at=s.closed_at.min(), result=s.result.argmin(s.order), sound=s.sound.all())
    d = d.filter(d.created_at.notnull()).inner_join(first, "entity_id")
    days = days_between(d.created_at, ibis.coalesce(d.closed_at, instant(scope.as_of))).floor().cast("int64")
    end = ibis.cases((d.result == WON, 1), (d.result == LOST, 2), else_=0)
    d = d.mutate(days=days, end=end).filter(lambda t: t.days >= 0)
    rows = pairs(d.group_by("days", "end", "sound").agg(n=d.count()).order_by("days", "end"))
    mine = [(float(r["days"]), int(r["end"]), int(r["n"])) for r in rows if r["sound"]]
    doubtful = sum(r["n"] for r in rows if not r["sound"])
    excluded = {"dates not believed": doubtful} if doubtful else {}
    won = kaplan_meier([c for c in mine if c[1] == 1])
    for label, q in (("median", 0.5), ("p75", 0.75), ("p90", 0.9)):
        words = "days from creation to won, of the deals that were won (lost and open ones say nothing here)"
        yield Metric("sales_cycle", words, {"quantile": label}, won.quantile(q)[0] if won.n else None, "days", won.n, excluded=excluded)
    found = incidence(mine, 2)
    for horizon in scope.choice("within_days"):
        for i, name in enumerate((WON, LOST), 1):
            low, high = found.limits(float(horizon), i)
            words = "share of all deals that are won (lost) within the days of their creation; the two compete (Aalen-Johansen)"
            yield Metric("closed_within", words, {"days": horizon, "end": name}, found.at(float(horizon), i), "share", found.n,
                         low=low, high=high, excluded=excluded)  # fmt: skip
