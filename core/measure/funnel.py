"""From lead to won: how many stand where, and how many get how far, in all the senses people mean by "conversion".

Five numbers share that name; each has its own metric here: period ratio, cohort reach (implied, strict, any),
matured within H days, and the same adjusted for those not watched long enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import ibis

from core.measure.distrust import DISORDERED, STAMPED, flagged, left_out
from core.measure.durations import Curve, kaplan_meier
from core.measure.episodes import entries
from core.measure.metric import Metric, Scope, pairs, share
from core.tables import days_between, further, instant, keep

_UNDATED = "reached, date unknown or before the start"
MODES = {
    "implied": "persons of the cohort with evidence of this milestone or a later one",
    "strict": "persons of the cohort with dated entries into every step until this one, in order",
    "any": "persons of the cohort with any evidence of exactly this milestone",
}


def measure(scope: Scope) -> Iterator[Metric]:
    yield from stage_counts(scope)
    steps = tuple(scope.choice("funnel_steps"))
    progress = progress_of(scope)
    yield from period_ratios(scope, steps)
    yield from cohort_reach(scope, progress, steps)
    links = [*pairwise(steps), (steps[0], steps[-1])]
    for start, end in dict.fromkeys(links):
        yield from timed(scope, progress, start, end)


def stage_counts(scope: Scope) -> Iterator[Metric]:
    for basis, column in (("current", "stage"), ("furthest", "furthest_stage")):
        t = scope.persons
        counted = pairs(t.group_by(stage=t[column]).agg(n=t.count()).order_by("stage"))
        unmapped = sum(row["n"] for row in counted if row["stage"] is None)
        excluded = {**scope.left_out, **({"no stage": unmapped} if unmapped else {})}
        for row in counted:
            if row["stage"] is not None:
                words = f"persons whose {basis} milestone this is"
                dims = {"basis": basis, "stage": row["stage"]}
                yield Metric("stage_count", words, dims, row["n"], "persons", row["n"], excluded=excluded)


def progress_of(scope: Scope) -> ibis.Table:
    """`_progress` for the steps of all funnels, computed once."""
    steps = tuple(dict.fromkeys([*scope.choice("funnel_steps"), *scope.choice("funnel_levels"), "M80"]))
    return scope.once("progress", lambda: keep(_progress(scope, steps)))


def _progress(scope: Scope, steps: tuple[str, ...], entered: ibis.Table | None = None) -> ibis.Table:
    """One row per person and episode: at_<step> (earliest dated entry), has_<step> (any own evidence) and the furthest rung `top`.

    Beside them what is wrong with the dates: `disordered`, and stamped_<step>.
    """
    m = entries(scope) if entered is None else entered
    stamps = _stamped(scope)
    m = flagged(m, "stamped", stamps, ("entity_id", "code", "reached_at"))
    at = {f"at_{code}": m.reached_at.min(where=m.code == code) for code in steps}
    has = {f"has_{code}": (m.code == code).any() for code in steps}
    stamped = {f"stamped_{code}": ((m.code == code) & m.stamped).any() for code in steps if stamps is not None}
    t = m.group_by("entity_id", "episode").agg(**at, **has, **stamped, top=further(m.code).max())
    t = t.mutate(**{f"stamped_{code}": ibis.literal(False) for code in steps if stamps is None})
    return flagged(t, "disordered", scope.distrust.disordered_persons)


def _stamped(scope: Scope) -> ibis.Table | None:
    """(entity_id, code, reached_at) of persons, by changes of their own or of their deals."""
    changes = scope.distrust.stamped
    if changes is None:
        return None
    changes = changes.filter(changes.code.notnull())
    own = changes.filter(changes.kind == "person").select("entity_id", "code", reached_at="at")
    deals = changes.filter(changes.kind == "deal").select("code", deal="entity_id", reached_at="at")
    on = deals.inner_join(scope.facts["deal_person"], "deal")
    return ibis.union(own, on.select("code", "reached_at", entity_id="person").select("entity_id", "code", "reached_at"))


def period_ratios(scope: Scope, steps: tuple[str, ...]) -> Iterator[Metric]:
    """Entrants of a month at one step over entrants at the step before: a pulse, of different people, may pass 100 %."""
    m = entries(scope).filter(lambda m: m.code.isin(steps) & m.reached_at.notnull())
    month = m.reached_at.strftime("%Y-%m")
    counted = {(r["month"], r["code"]): r["n"] for r in pairs(m.group_by("code", month=month).agg(n=m.count()))}
    for month_name in sorted({name for name, _ in counted}):
        for before, code in zip((None, *steps), steps, strict=False):
            n = counted.get((month_name, code), 0)
            dims = {"month": month_name, "stage": code}
            yield Metric("entered", "persons who entered the milestone in the month", dims, n, "persons", n)
            if before:
                whole = counted.get((month_name, before), 0)
                words = "period ratio: entrants of the month ÷ entrants at the step before in the same month (other persons)"
                dims = {"month": month_name, "from": before, "to": code}
                yield Metric("period_ratio", words, dims, n / whole if whole else None, "ratio", whole, n, whole)


def cohort_reach(scope: Scope, progress: ibis.Table, steps: tuple[str, ...]) -> Iterator[Metric]:
    """Of those who entered the first step in a month, how many got to each step until now; and over all months.

    Who is first known beyond the first step (imported, or a step left out) has no day of entry, and is in no cohort.
    """
    later = progress[f"at_{steps[0]}"].isnull() & (progress.top > steps[0]).fill_null(False)
    t = progress.filter(progress[f"at_{steps[0]}"].notnull())
    sound = _sound(t, steps[0])
    counts = {f"{mode}_{code}": (_reached(t, mode, steps, i) & sound).sum() for mode in MODES for i, code in enumerate(steps)}
    counts |= {"disordered": t.disordered.sum(), "stamped": (~t.disordered & ~sound).sum()}
    by_month = pairs(t.group_by(month=t[f"at_{steps[0]}"].strftime("%Y-%m")).agg(**counts).order_by("month"))
    if not by_month:
        return
    total: dict[str, Any] = {name: sum(row[name] for row in by_month) for name in counts}
    total["later"] = pairs(progress.agg(later=later.sum()))[0]["later"]
    for row in by_month:
        yield _age(scope, row["month"], row[f"implied_{steps[0]}"])
    for row in [*by_month, {"month": "all", **total}]:
        for mode, words in MODES.items():
            for i, code in enumerate(steps):
                yield from _reach(row, mode, words, steps, i, code)


def _reach(row: Mapping[str, Any], mode: str, words: str, steps: tuple[str, ...], i: int, code: str) -> Iterator[Metric]:
    part, whole = row[f"{mode}_{code}"], row[f"{mode}_{steps[0]}"]
    excluded = left_out(disordered=row["disordered"], stamped=row["stamped"])
    excluded |= {f"first known beyond {steps[0]}": row["later"]} if row.get("later") else {}
    dims = {"cohort": row["month"], "mode": mode, "from": steps[0], "to": code}
    yield share("reach", f"cohort reach: {words} ÷ the cohort; young cohorts are still growing", dims, part, whole, excluded=excluded)
    if i:
        before = row[f"{mode}_{steps[i - 1]}"]
        dims = {"cohort": row["month"], "mode": mode, "from": steps[i - 1], "to": code}
        yield share("step", f"step rate: {words} ÷ the same of the step before", dims, part, before, excluded=excluded)


def _age(scope: Scope, month: str, n: int) -> Metric:
    """How long the youngest of a cohort can have been watched: young cohorts are still growing."""
    year, number = map(int, month.split("-"))
    ended = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    words = "days since the month was over: so long all of the cohort were watched"
    return Metric("cohort_age", words, {"cohort": month}, max(0, (scope.as_of - ended).days), "days", n)


def _sound(t: ibis.Table, *steps: str) -> ibis.Value:
    """Are the person's dates of these steps to be believed?"""
    sound = ~t.disordered
    for code in steps:
        sound = sound & ~t[f"stamped_{code}"]
    return sound


def _reached(t: ibis.Table, mode: str, steps: tuple[str, ...], i: int) -> ibis.Value:
    if i == 0:
        return t[f"at_{steps[0]}"].notnull()
    if mode == "any":
        return t[f"has_{steps[i]}"]
    if mode == "implied":
        return (t.top >= steps[i]).fill_null(False)
    ordered = t[f"at_{steps[1]}"] >= t[f"at_{steps[0]}"]
    for before, code in pairwise(steps[1 : i + 1]):
        ordered = ordered & (t[f"at_{code}"] >= t[f"at_{before}"])
    return ordered.fill_null(False)


def timed(scope: Scope, progress: ibis.Table, start: str, end: str) -> Iterator[Metric]:
    """Within H days, and how long it takes."""
    horizons = [int(days) for days in scope.choice("within_days")]
    rows, excluded = waits(scope, progress, start, end, horizons)
    curve = kaplan_meier((float(r["wait"]), int(r["event"]), int(r["n"])) for r in rows)
    dims = {"from": start, "to": end}
    for horizon in horizons:
        yield matured(rows, dims, horizon, excluded)
        words = "share that reaches the milestone within the days, estimated from all persons (Kaplan-Meier)"
        value = 1 - curve.at(horizon) if curve.n else None
        low, high = (1 - side if curve.n else None for side in reversed(curve.limits(horizon)))
        yield Metric("reach_within_km", words, {**dims, "days": horizon}, value, "share", curve.n, curve.events, low=low, high=high,
                     excluded=excluded)  # fmt: skip
    yield from _durations("time_to_next", "days until the next step, open ones as far as watched (Kaplan-Meier)", dims, curve, excluded)


def _durations(name: str, words: str, dims: Mapping[str, Any], curve: Curve, excluded: Mapping[str, Any]) -> Iterator[Metric]:
    for label, q in (("median", 0.5), ("p75", 0.75), ("p90", 0.9)):
        value, low, high = curve.quantile(q)
        yield Metric(name, words, {**dims, "quantile": label}, value, "days", curve.n, curve.events, low=low, high=high, excluded=excluded)


def waits(scope: Scope, progress: ibis.Table, start: str, end: str, horizons: Sequence[int]) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """(rows of wait in days, event, n persons and old_<days>, how many of them were watched so long; why others are left out, how many).

    Of all who entered `start`; who is still waiting has waited as long as he was watched.
    """
    t = progress.filter(progress[f"at_{start}"].notnull(), progress[f"at_{start}"] <= instant(scope.as_of))
    began, reached = t[f"at_{start}"], t[f"at_{end}"]
    watched = days_between(began, instant(scope.as_of)).floor().cast("int64")
    wait = days_between(began, reached).floor().cast("int64")
    unknown = (reached.isnull() & (t.top >= end).fill_null(False)) | (wait < 0).fill_null(False)
    doubt = ibis.cases((t.disordered, DISORDERED), (~_sound(t, start, end), STAMPED), (unknown, _UNDATED), else_=ibis.null("string"))
    t = t.select(doubt=doubt, event=reached.notnull(), watched=watched, wait=ibis.coalesce(wait, watched))
    old = {f"old_{days}": (t.watched >= days).sum() for days in horizons}
    rows = pairs(t.group_by("doubt", "event", "wait").agg(n=t.count(), **old).order_by("doubt", "event", "wait"))
    excluded: dict[str, int] = {}
    for r in rows:
        if r["doubt"] is not None:
            excluded[r["doubt"]] = excluded.get(r["doubt"], 0) + int(r["n"])
    return [r for r in rows if r["doubt"] is None], excluded


def matured(rows: Sequence[Mapping[str, Any]], dims: Mapping[str, Any], horizon: int, excluded: Mapping[str, Any]) -> Metric:
    """Only persons watched for the whole horizon, so that months can be compared."""
    whole = sum(r[f"old_{horizon}"] for r in rows)
    part = sum(r[f"old_{horizon}"] for r in rows if r["event"] and r["wait"] <= horizon)
    young = sum(r["n"] for r in rows) - whole
    words = "reached within the days ÷ persons watched at least that long"
    left = {**excluded, **({"not watched long enough": young} if young else {})}
    return share("reach_within", words, {**dims, "days": horizon}, part, whole, excluded=left)


def reached_rows(scope: Scope, cohort: str, mode: str, to: str) -> ibis.Table:
    """The persons behind one `reach`."""
    steps = tuple(scope.choice("funnel_steps"))
    t = _progress(scope, steps)
    began = t[f"at_{steps[0]}"]
    t = t.filter(_sound(t, steps[0]))
    t = t.filter(began.notnull()) if cohort == "all" else t.filter(began.strftime("%Y-%m") == cohort)
    return t.filter(_reached(t, mode, steps, steps.index(to)))
