"""How probably a lead becomes an opportunity, how good that is, and who comes first. A model where enough is known, else points."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import ibis
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from core.measure import lead_points
from core.measure.lead_features import Leads, past, present
from core.measure.lead_model import Model, captured, fit, lift, split
from core.measure.metric import Metric, Scope, pairs, share
from core.measure.scores import auc, brier
from core.statistics.logistic import calibration_error

Array = NDArray[Any]
BANDS = ((0.9, "A"), (0.7, "B"), (0.4, "C"), (0.0, "D"))  # of a model: better than this share of earlier leads
SHOWN = 20  # leads a report lists
OWNERS = 50  # owners whose leads are counted apart
NOBODY = "(no owner)"
SCORES = pa.schema(
    [("entity_id", pa.string()), ("lead_score", pa.int64()), ("lead_probability", pa.float64()), ("lead_band", pa.string()),
     ("lead_reasons", pa.string())]
)  # fmt: skip


@dataclass(frozen=True)
class Scored:
    """The present leads with their scores, and what they were learned from. `model` None: points."""

    leads: Leads
    score: Array  # 0 to 100
    rank: Array  # better than this share of earlier leads; of points the score ÷ 100
    chance: Array  # nan: points say none
    band: Array
    reasons: list[str]
    model: Model | None
    learned: Leads
    positives: int  # persons who came


def scored(scope: Scope) -> Scored:
    return scope.once("scored", lambda: _scored(scope))


def _scored(scope: Scope) -> Scored:
    learned, leads = past(scope), present(scope)
    positives = len({name for name, came in zip(learned.who, learned.came, strict=True) if came})
    if positives < int(scope.choice("score_min_positives")) or learned.came.all():
        score = lead_points.points(leads, scope.choice("score_points"))
        limits = sorted((float(limit) for limit in scope.choice("score_bands")), reverse=True)
        band = _band(score, [*zip(limits, "ABCDEFG", strict=False), (-1.0, "ABCDEFGH"[len(limits)])])
        why = lead_points.reasons(leads, scope.choice("score_points"))
        return Scored(leads, score, score / 100, np.full(len(score), np.nan), band, why, None, learned, positives)
    model = fit(learned)
    chance = model.chances(leads)
    rank = model.ranks(chance)
    return Scored(leads, np.floor(100 * rank), rank, chance, _band(rank, BANDS), model.reasons(leads), model, learned, positives)


def expected(s: Scored) -> Array:
    """Each present lead's chance; of points the share of past leads that came, more for more points. nan: nobody was watched so long."""
    if s.model is not None:
        return s.chance
    share, mean = (float(values.mean()) if len(values) else np.nan for values in (s.learned.came, s.score))
    return np.minimum(1.0, share * s.score / mean) if mean else np.full(len(s.score), np.nan)


def _band(values: Array, limits: Any) -> Array:
    names = np.full(len(values), limits[-1][1], object)
    for limit, name in reversed(limits):
        names[values >= limit] = name
    return names


def lead_scores(scope: Scope) -> ibis.Table:
    """Of everybody who is no opportunity yet: lead_score (0 to 100), lead_probability (null: points), lead_band, lead_reasons."""
    s = scored(scope)
    chance = [None if np.isnan(p) else round(float(p), 4) for p in s.chance]
    columns = [list(s.leads.who), [int(v) for v in s.score], chance, s.band.tolist(), s.reasons]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCORES, strict=True)]
    return ibis.memtable(pa.Table.from_arrays(arrays, schema=SCORES))


# -- numbers --------------------------------------------------------------------------------------------------------------
def measure(scope: Scope) -> Iterator[Metric]:
    s = scored(scope)
    excluded = _said(scope, s)
    yield from _bands(s, excluded)
    yield from _owners(scope, s, excluded)
    yield from _quality(scope, s, excluded)
    yield from _weights(s, excluded)
    yield from _first(s, excluded)


def _said(scope: Scope, s: Scored) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if s.model is None:
        least = int(scope.choice("score_min_positives"))
        out["score by"] = f"points: {s.positives} leads became opportunities, a model needs {least}"
    elif s.model.scale is not None:
        out["score by"] = "model, calibrated (Platt)"
    if s.learned.dropped:
        named = ", ".join(f"{name} ({part})" for name, part in sorted(s.learned.dropped.items()))
        out["dropped by the leak guard"] = f"{named} of the past leads may have got the field's value later"
    return out


def _method(s: Scored) -> str:
    return "points" if s.model is None else "model"


def _bands(s: Scored, excluded: Mapping[str, Any]) -> Iterator[Metric]:
    for name in "ABCD" if s.model is not None else sorted(set(s.band.tolist())):
        mine = s.band == name
        dims = {"band": name, "method": _method(s)}
        n = int(mine.sum())
        yield Metric("score_band", "leads of the band now", dims, n, "persons", n, excluded=excluded)
        if s.model is not None and n:
            words = "leads of the band that the model expects to become opportunities within the horizon ÷ leads of the band"
            yield Metric("score_expected", words, dims, float(s.chance[mine].mean()), "share", n, excluded=excluded)


def _owners(scope: Scope, s: Scored, excluded: Mapping[str, Any]) -> Iterator[Metric]:
    """Leads by owner and band, the owners with most leads first."""
    t = _owned(scope, s)
    found = pairs(t.group_by("owner", "lead_band").agg(n=t.count()))
    leads: dict[str, int] = {}
    for row in found:
        leads[row["owner"]] = leads.get(row["owner"], 0) + int(row["n"])
    place = {owner: i for i, owner in enumerate(sorted(leads, key=lambda owner: (-leads[owner], owner))[:OWNERS])}
    for row in sorted((r for r in found if r["owner"] in place), key=lambda r: (place[r["owner"]], r["lead_band"])):
        dims = {"owner": row["owner"], "band": row["lead_band"]}
        yield Metric("score_owner", "leads of the owner in the band now", dims, row["n"], "persons", row["n"], excluded=excluded)


def _owned(scope: Scope, s: Scored) -> ibis.Table:
    """(entity_id, lead_band, owner)"""
    columns = {"entity_id": pa.array(s.leads.who, pa.string()), "lead_band": pa.array(s.band.tolist(), pa.string())}
    p = scope.persons.select("entity_id", owner=lambda t: t.owner_email.nullif("").fill_null(NOBODY))
    return ibis.memtable(pa.table(columns)).inner_join(p, "entity_id")


def _quality(scope: Scope, s: Scored, excluded: Mapping[str, Any]) -> Iterator[Metric]:
    """The model fitted on earlier leads and the points, tried on the later ones."""
    early, late = split(s.learned, float(scope.choice("score_days")))
    came = late.came.astype(float)
    if not late.came.any() or late.came.all():
        why = {**excluded, "not computable": "no later leads that came and others that did not"}
        yield Metric("score_quality", _AUC, {"measure": "AUC", "method": _method(s)}, None, "number", len(late.at), excluded=why)
        return
    tried = {"points": lead_points.points(late, scope.choice("score_points")) / 100}
    if s.model is not None and early.came.any() and not early.came.all():
        tried["model"] = fit(early).chances(late)
    for method, said in tried.items():
        dims = {"method": method}
        yield Metric("score_quality", _AUC, {**dims, "measure": "AUC"}, auc(said, came), "number", len(came), excluded=excluded)
        if method == "model":
            yield from _probabilities(said, came, float(early.came.mean()), excluded)
        tenths = lift(said, late.came)
        base = came.mean()
        for i, (n, hits, mean) in enumerate(tenths, 1):
            words = "of later leads in this tenth by score, those that became opportunities ÷ all of them; lift: against all leads"
            yield share("score_tenth", words, {**dims, "tenth": i}, hits, n, excluded=excluded)
            if method == "model":
                yield Metric("score_tenth_expected", "mean probability in this tenth", {**dims, "tenth": i}, mean, "share", n,
                             excluded=excluded)  # fmt: skip
            yield Metric("score_lift", words, {**dims, "tenth": i}, hits / n / base, "×", n, excluded=excluded)
        for i, part in enumerate(captured(tenths), 1):
            words = "share of all who became opportunities that stood among the best so many per cent by score"
            yield Metric("score_captured", words, {**dims, "best": f"{10 * i} %"}, part, "share", len(came), excluded=excluded)


_AUC = "the probability that a lead who became an opportunity was scored above one who did not"


def _probabilities(said: Array, came: Array, before: float, excluded: Mapping[str, Any]) -> Iterator[Metric]:
    base = brier(np.full(len(came), before), came)
    values = {
        "Brier": (brier(said, came), "mean squared error of the probability"),
        "Brier of the base rate": (base, "the same, had every lead been given the share that came before"),
        "ECE": (calibration_error(said, came), "mean difference between probability and share that came, over tenths"),
    }
    for name, (value, words) in values.items():
        dims = {"method": "model", "measure": name}
        yield Metric("score_quality", words, dims, value, "number", len(came), excluded=excluded)


def _weights(s: Scored, excluded: Mapping[str, Any]) -> Iterator[Metric]:
    if s.model is None:
        return
    words = "coefficient (log-odds; counts: for one standard deviation of their logarithm)"
    for (name, word), value in zip(s.model.columns.names, s.model.coefficients[1:], strict=True):
        if abs(value) >= 0.05:
            yield Metric("score_weight", words, {"feature": name, "value": word or "(count)"}, float(value), "log-odds", len(s.learned.at),
                         excluded=excluded)  # fmt: skip


def _first(s: Scored, excluded: Mapping[str, Any]) -> Iterator[Metric]:
    """The best of them, one by one."""
    worth = np.where(np.isnan(s.chance), s.score, s.chance)
    order = sorted(range(len(s.score)), key=lambda i: (-worth[i], s.leads.who[i]))
    for i in order[:SHOWN]:
        dims: dict[str, Any] = {"person": s.leads.who[i], "band": s.band[i], "why": s.reasons[i]}
        chance = None if np.isnan(s.chance[i]) else round(float(s.chance[i]), 4)
        yield Metric("lead_score", "points of 100, or better than so many per cent of earlier leads (numerator: the probability)", dims,
                     float(s.score[i]), "points", 1, chance, excluded=excluded)  # fmt: skip


# -- rows -------------------------------------------------------------------------------------------------------------------
def of_band(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    """The persons of a band."""
    t = lead_scores(scope)
    return t.filter(t.lead_band == str(dims["band"]))


def of_owner(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    """The persons of an owner in a band."""
    t = _owned(scope, scored(scope))
    return t.filter(t.owner == str(dims["owner"]), t.lead_band == str(dims["band"]))


def one_lead(scope: Scope, dims: Mapping[str, Any]) -> ibis.Table:
    return scope.facts["person"].filter(lambda t: t.entity_id == str(dims["person"]))
