"""Leads at instants, and what was known of them then: the ground of a score. What came later is only in the outcome.

Everything dated is cut at the instant (touches, milestones); fields of records are those of the version that stood then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.measure.known import days_of
from core.measure.lead_fields import known
from core.measure.metric import Scope
from core.measure.touch_names import group
from core.thresholds import free_mail

Array = NDArray[Any]
AGES = (1.0, 30.0, 90.0, 180.0)  # days after a lead became known, at which the past is looked at
WINDOW = 365  # days back in which touches count
MOST = 100_000  # so many past instants, the latest, are learned from
UNKNOWN = 0.05  # a field is dropped when more of those who came, or of those who did not, may have got it later
NUMBERS = ("visits", "forms", "clicks", "responses", "sales", "channels")
_EMPLOYEES = ((0, "1-9"), (10, "10-49"), (50, "50-249"), (250, "250-999"), (1000, "1000+"))
_DAYS = ((0, "0-7"), (8, "8-30"), (31, "31-90"), (91, "over 90"))
_OF_COMPANY = ("employees", "industry")
NONE = "(none)"


@dataclass(frozen=True)
class Leads:
    """Rows of leads at instants (days since 1970). `words` and `numbers` by feature; `dropped`: what the leak guard took out, and why."""

    who: tuple[str, ...]
    at: Array
    came: Array  # reached an opportunity within the horizon
    words: Mapping[str, Array]
    numbers: Mapping[str, Array]
    dropped: Mapping[str, str] = field(default_factory=dict)

    def part(self, keep: Array) -> Leads:
        who = tuple(np.array(self.who, object)[keep].tolist())
        words, numbers = ({name: values[keep] for name, values in some.items()} for some in (self.words, self.numbers))
        return Leads(who, self.at[keep], self.came[keep], words, numbers, self.dropped)


@dataclass(frozen=True)
class _People:
    who: Array
    since: Array
    sqo: Array  # day of the opportunity; inf: not yet
    off: Array  # day of the disqualification; inf: not yet
    out: Array  # is it disqualified now?
    source: Array
    mail: Array

    def rows(self, place: Array, at: Array) -> pa.Table:
        stamps = pa.array((at * 86_400_000_000).astype("int64"), pa.timestamp("us", "UTC"))
        return pa.table({"no": pa.array(range(len(place)), pa.int64()), "entity_id": pa.array(self.who[place], pa.string()), "at": stamps})


def learned_until(as_of: datetime) -> float:
    """The start of the month: the same outcomes all month long, so that a score moves only when a lead does."""
    return days_of(datetime(as_of.year, as_of.month, 1, tzinfo=UTC))


def past(scope: Scope) -> Leads:
    """Leads at ages of theirs whose horizon was over by the start of the month, by the day."""
    people, horizon = _people(scope), float(scope.choice("score_days"))
    end = learned_until(scope.as_of)
    ages = np.repeat(AGES, len(people.who))
    place = np.tile(np.arange(len(people.who)), len(AGES))
    at = people.since[place] + ages
    there = (at + horizon <= end) & (people.sqo[place] > at) & (people.off[place] > at)
    place, at = place[there], at[there]
    order = np.lexsort((people.who[place].astype(str), at))[-MOST:]
    return _guarded(_leads(scope, people, place[order], at[order]))


def present(scope: Scope) -> Leads:
    """Everybody who is no opportunity yet, now, and not disqualified."""
    people = _people(scope)
    place = np.flatnonzero(np.isinf(people.sqo) & ~people.out)
    leads, _ = _leads(scope, people, place, np.full(len(place), days_of(scope.as_of)))
    return leads


def _people(scope: Scope) -> _People:
    return scope.once("lead people", lambda: _asked(scope))


def _asked(scope: Scope) -> _People:
    p, m = scope.persons, scope.facts["milestone"]
    m = m.filter(m.kind == "person", m.code >= "M50", m.code <= "M95", m.code != "M85")
    reached = m.group_by("entity_id").agg(sqo=m.reached_at.min(), ever=m.count())
    gone = scope.facts["milestone"].filter(lambda t: (t.kind == "person") & (t.code == "MX"))
    gone = gone.group_by("entity_id").agg(gone=gone.reached_at.min())
    domain = p.email.lower().re_extract("@(.+)$", 1)
    free = [d.lower() for d in free_mail(scope.funnel)] or ["(none)"]
    mail = ibis.cases((p.email.isnull(), "none"), (domain.isin(free), "free"), else_="company")
    p = p.filter(p.created_at.notnull()).mutate(mail=mail, group=group(scope, p.source))
    p = p.select("entity_id", "mail", "group", since=p.created_at.epoch_seconds() / 86400.0, off=p.stage.identical_to("MX"))
    t = p.left_join(reached, "entity_id").drop("entity_id_right").left_join(gone, "entity_id").drop("entity_id_right")
    t = t.filter(t.ever.isnull() | t.sqo.notnull())  # an opportunity nobody can date is no outcome
    days = {"sqo": t.sqo.epoch_seconds() / 86400.0, "gone": t.gone.epoch_seconds() / 86400.0}
    t = t.select("entity_id", "mail", "group", "since", "off", **days).order_by("entity_id").to_pyarrow()
    sqo, off = (np.asarray(t[name].cast(pa.float64()).to_numpy(), float) for name in ("sqo", "gone"))
    texts = [np.array(t[name].to_pylist(), object) for name in ("entity_id", "group", "mail")]
    since = np.asarray(t["since"].cast(pa.float64()).to_numpy(), float)
    sqo, off = (np.where(np.isnan(day), np.inf, day) for day in (sqo, off))
    return _People(texts[0], since, sqo, off, np.asarray(t["off"].to_numpy(), bool), texts[1], texts[2])


def _leads(scope: Scope, people: _People, place: Array, at: Array) -> tuple[Leads, dict[str, Array]]:
    """(the rows, where each field of a record is unknown)."""
    rows = ibis.memtable(people.rows(place, at))
    touched, n = _touched(scope, rows), len(place)
    horizon = float(scope.choice("score_days"))
    numbers = {name: _column(touched, name, n, 0.0) for name in NUMBERS}
    silent = at - _column(touched, "last", n, -np.inf)
    words = {
        "mail": people.mail[place],
        "form": _texts(touched, "form", n),
        "stage": _texts(_staged(scope, rows), "stage", n),
        "last touch, days ago": _band(silent, _DAYS, "never"),
        "known for days": _band(at - people.since[place], _DAYS, NONE),
    }
    unknown = {}
    for kind, names in _fields(scope).items():
        found = _known(scope, kind, rows, names)
        for name in names:
            words[name] = _worded(scope, name, _texts(found, name, n))
            unknown[name] = _column(found, f"{name}_unknown", n, 0.0) > 0
    if "source" in scope.choice("score_fixed"):
        words["source"] = people.source[place]
    who = tuple(people.who[place].tolist())
    return Leads(who, at, people.sqo[place] <= at + horizon, words, numbers), unknown


def _guarded(found: tuple[Leads, dict[str, Array]]) -> Leads:
    """Without the fields that may say what came later: unknown then for too many of those who came, or of those who did not.

    The few unknown ones left count as the most frequent value, so that being unknown tells nothing.
    """
    leads, unknown = found
    words, dropped = dict(leads.words), {}
    for name, blank in unknown.items():
        shares = [float(blank[mine].mean()) if mine.any() else 0.0 for mine in (leads.came, ~leads.came)]
        if max(shares) > UNKNOWN:
            dropped[name] = f"{100 * max(shares):.0f} %"
            del words[name]
        elif blank.any():
            names, counts = np.unique(words[name][~blank].astype(str), return_counts=True)
            words[name] = np.where(blank, names[counts.argmax()], words[name])
    return Leads(leads.who, leads.at, leads.came, words, leads.numbers, dropped)


# -- from the engine ------------------------------------------------------------------------------------------------------
def _touched(scope: Scope, rows: ibis.Table) -> pa.Table:
    t = scope.facts["touches"].filter(lambda t: t.occurred_at.notnull())
    form = (t.kind == "form") | ((t.kind == "conversion") & t.event.isin(list(scope.choice("lead_events"))))
    t = t.select("entity_id", "kind", "event", "channel", "occurred_at", form=form)
    j = rows.inner_join(t, "entity_id")
    j = j.filter(j.occurred_at <= j["at"], j.occurred_at > j["at"] - ibis.interval(days=WINDOW))
    kinds = {"visits": ["visit"], "clicks": ["click"], "responses": ["response"], "sales": [str(k) for k in scope.choice("sales_touches")]}
    counts = {name: j.kind.isin(words or ["(none)"]).sum() for name, words in kinds.items()}
    moment = j.occurred_at.epoch_seconds()
    said = j.event.fill_null("").nullif("").fill_null("form")
    return (
        j.group_by("no")
        .agg(**counts, forms=j.form.sum(), channels=j.channel.nunique(), last=moment.max() / 86400.0,
             form=said.argmax(moment.cast("string").concat(said), where=j.form))
        .to_pyarrow()
    )  # fmt: skip


def _staged(scope: Scope, rows: ibis.Table) -> pa.Table:
    m = scope.facts["milestone"]
    m = m.filter(m.kind == "person", ~m.implied, m.code < "M50", m.reached_at.notnull()).select("entity_id", "code", "reached_at")
    j = rows.inner_join(m, "entity_id")
    return j.filter(j.reached_at <= j["at"]).group_by("no").agg(stage=j.code.max()).to_pyarrow()


def _fields(scope: Scope) -> dict[str, list[str]]:
    """Fields by the kind of record they are of."""
    names = [str(name) for name in scope.choice("score_fields")]
    names += [] if "source" in scope.choice("score_fixed") else ["source"]
    kinds = {"person": [n for n in names if n not in _OF_COMPANY], "company": [n for n in names if n in _OF_COMPANY]}
    return {kind: some for kind, some in kinds.items() if some}


def _known(scope: Scope, kind: str, rows: ibis.Table, names: list[str]) -> pa.Table:
    asked = ["job_title" if name == "role" else name for name in names]
    if kind == "company":
        of = scope.facts["person_company"]
        of = of.group_by(entity_id="person").agg(company=of.company.min())
        rows = rows.inner_join(of, "entity_id").select("no", "at", entity_id="company")
    t = known(scope, kind, rows, asked)
    renamed = dict(zip(names, asked, strict=True))
    return t.select("no", *(t[old].name(new) for new, old in renamed.items()),
                    *(t[f"{old}_unknown"].cast("int64").name(f"{new}_unknown") for new, old in renamed.items())).to_pyarrow()  # fmt: skip


def _worded(scope: Scope, name: str, values: Array) -> Array:
    if name == "role":
        senior = [str(word).lower() for word in scope.choice("score_senior")]
        return np.array([v if v == NONE else _role(str(v), senior) for v in values], object)
    if name == "employees":
        return _band(np.array([_number(v) for v in values]), _EMPLOYEES, NONE)
    return np.array([str(v).strip().lower() for v in values], object)


def _role(title: str, senior: list[str]) -> str:
    words = title.lower().replace("-", " ").replace("/", " ").replace(",", " ").split()
    return "senior" if any(word in words for word in senior) else "other"


def _number(value: Any) -> float:
    try:
        return float(value)
    except ValueError:
        return np.nan


def _band(values: Array, edges: tuple[tuple[int, str], ...], otherwise: str) -> Array:
    names = np.array([otherwise, *(name for _, name in edges)], object)
    with np.errstate(invalid="ignore"):
        place = np.where(np.isfinite(values), np.searchsorted([low for low, _ in edges], values, side="right"), 0)
    return np.asarray(names[place])


def _column(t: pa.Table, name: str, n: int, missing: float) -> Array:
    out = np.full(n, missing)
    values = np.asarray(t[name].cast(pa.float64()).to_numpy(), float)
    out[t["no"].to_numpy()] = np.where(np.isnan(values), missing, values)
    return out


def _texts(t: pa.Table, name: str, n: int) -> Array:
    out = np.full(n, NONE, object)
    out[t["no"].to_numpy()] = [value if value not in (None, "") else NONE for value in t[name].to_pylist()]
    return out
