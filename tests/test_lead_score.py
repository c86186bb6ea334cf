"""Lead scores: what they may know, how good they are, and what happens where too little is known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any
from unittest.mock import patch

import ibis
import numpy as np
import pyarrow as pa
import pytest
import statsmodels.api as sm
from scipy.optimize import minimize
from test_measure import Measured
from unified_rows import moment, row

from core.config import SHIPPED
from core.errors import UserError
from core.funnel import load_funnel
from core.measure import measure, rows
from core.measure.lead_features import Leads, past, present
from core.measure.lead_model import fit
from core.measure.lead_points import signals
from core.measure.lead_score import expected, lead_scores, scored
from core.measure.metric import Scope
from core.statistics.logistic import calibrated, calibration_error, chances, logistic, platt

NOW = moment("2026-06-30")
START = moment("2025-01-01")
DAY_US = 86_400_000_000
PEOPLE = 1500
FIELDS = {"score_fields": ["tag"], "score_min_positives": 50}


# -- the regression ---------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(1)
    x = random.normal(size=(600, 3))
    return x, (random.random(600) < chances(x, np.array([-1.0, 0.8, -0.5, 0.0]))).astype(float)


def test_without_a_ridge_it_is_the_library_regression(drawn):
    x, y = drawn
    assert logistic(x, y, ridge=0.0) == pytest.approx(sm.Logit(y, sm.add_constant(x)).fit(disp=0).params, abs=1e-6)


def test_a_ridge_gives_what_minimising_gives(drawn):
    x, y = drawn

    def loss(b: np.ndarray) -> float:
        z = b[0] + x @ b[1:]
        return -(y * z - np.logaddexp(0, z)).sum() + 0.5 * 25 * (b[1:] ** 2).sum()

    assert logistic(x, y, ridge=25.0) == pytest.approx(minimize(loss, np.zeros(4), tol=1e-12).x, abs=1e-4)


def test_rows_that_can_be_told_apart_do_not_run_away():
    x = np.array([[-2.0], [-1], [1], [2]])
    assert np.abs(logistic(x, np.array([0.0, 0, 1, 1]))).max() < 5


def test_chances_that_are_all_alike_are_moved_and_never_turned_round():
    y = np.array([1.0] * 20 + [0.0] * 80)
    a, b = platt(np.full(100, 0.6), y)
    assert b > 0.5
    assert calibrated(np.array([0.6, 0.7]), (a, b)) == pytest.approx([0.2, 0.28], abs=0.02)


def test_probabilities_that_are_too_bold_are_calibrated():
    random = np.random.default_rng(2)
    true = random.uniform(0.02, 0.5, 20_000)
    y = (random.random(20_000) < true).astype(float)
    bold = 1 / (1 + np.exp(-(0.5 + 2 * np.log(true / (1 - true)))))
    assert calibration_error(bold, y) > 0.03
    assert platt(bold, y) == pytest.approx((-0.25, 0.5), abs=0.03)
    assert calibration_error(calibrated(bold, platt(bold, y)), y) < 0.015


# -- leads whose ways are known ------------------------------------------------------------------------------------------------
def world(tag: str = "", seed: int = 5) -> dict[str, ibis.Table]:
    """Persons of 18 months; who asks by form, or comes from referral, becomes an opportunity more often.

    tag: "late", a mark that people get who became opportunities, on the day after; "early": the same mark, but given at once.
    """
    random = np.random.default_rng(seed)
    ids = [f"per_{i:05d}" for i in range(PEOPLE)]
    created = np.sort(random.uniform(0, 540, PEOPLE))
    form, referral = random.random(PEOPLE) < 0.3, random.random(PEOPLE) < 0.3
    rate = 1 / (1 + np.exp(-(-3.2 + 1.8 * form + 1.0 * referral)))
    came = random.random(PEOPLE) < rate
    wait = random.uniform(2, 80, PEOPLE)
    start = int(START.timestamp()) * 1_000_000
    known = (start + created * DAY_US).astype("int64")
    reached = known + (wait * DAY_US).astype("int64")
    now = int(NOW.timestamp()) * 1_000_000
    came &= reached < now
    stamp = pa.timestamp("us", "UTC")
    touched = np.flatnonzero(form)
    marked = {"attributes": [json.dumps({"tag": "hot"}, separators=(",", ":")) if tag and c else "{}" for c in came]}
    updated = np.where(came, reached + DAY_US, known) if tag == "late" else known
    record = {
        "entity_id": ids, "account": ["hubspot"] * PEOPLE, "vendor": ["hubspot"] * PEOPLE, "resource": ["contacts"] * PEOPLE,
        "vendor_id": ids, "created_at": pa.array(known, stamp), "updated_at": pa.array(updated, stamp),
        "observed_at": pa.array([NOW] * PEOPLE, stamp), "deleted": [False] * PEOPLE, **marked,
    }  # fmt: skip
    touch_at = known + (random.uniform(-0.5, 0.9, PEOPLE) * DAY_US).astype("int64")
    touches = pa.table(
        {"entity_id": np.array(ids)[touched], "kind": ["form"] * len(touched), "event": ["demo"] * len(touched),
         "channel": ["web"] * len(touched), "occurred_at": pa.array(touch_at[touched], stamp)}
    )  # fmt: skip
    person = {
        "entity_id": ids, "excluded": [False] * PEOPLE, "email": [f"{i}@firm.example" for i in ids], "created_at": pa.array(known, stamp),
        "source": np.where(referral, "Referral", "Web").tolist(), "stage": pa.nulls(PEOPLE, pa.string()),
        "marketable": [True] * PEOPLE, "score": pa.nulls(PEOPLE, pa.float64()),
        "owner_email": [("ada@firm.example", "", None)[i % 3] for i in range(PEOPLE)],
    }  # fmt: skip
    sqo = np.flatnonzero(came)
    milestone = pa.table(
        {"entity_id": np.array(ids)[sqo], "code": ["M50"] * len(sqo), "kind": ["person"] * len(sqo), "implied": [False] * len(sqo),
         "reached_at": pa.array(reached[sqo], stamp)}
    )  # fmt: skip
    members = pa.table(
        {"entity_id": ids, "kind": ["person"] * PEOPLE, "account": ["hubspot"] * PEOPLE, "resource": ["contacts"] * PEOPLE,
         "vendor_id": ids, "live": [True] * PEOPLE}
    )  # fmt: skip
    found = {"person": person, "people": record}
    tables = {name: pa.table(columns) for name, columns in found.items()}
    tables |= {"milestone": milestone, "touches": touches, "members": members, "companies": tables["people"].slice(0, 0),
               "person_company": pa.table({"person": pa.array([], pa.string()), "company": pa.array([], pa.string())})}  # fmt: skip
    return {name: ibis.memtable(table) for name, table in tables.items()}


def scope_of(facts: dict[str, ibis.Table], **thresholds: Any) -> Scope:
    return Scope(facts, {"thresholds": {**FIELDS, **thresholds}}, NOW)


def numbers(scope: Scope) -> list[dict[str, Any]]:
    table = measure(scope.facts, scope.funnel, NOW, ("score",))
    return [{**r, "dimensions": json.loads(r["dimensions"]), "excluded": json.loads(r["excluded"])} for r in table.to_pylist()]


def one(found: list[dict[str, Any]], name: str, **dims: Any) -> dict[str, Any]:
    (row,) = (r for r in found if r["name"] == name and dims.items() <= r["dimensions"].items())
    return row


@pytest.fixture(scope="module")
def plain() -> list[dict[str, Any]]:
    return numbers(scope_of(world()))


@contextmanager
def no_guard() -> Iterator[None]:
    with patch("core.measure.lead_features.UNKNOWN", 1.1):
        yield


def test_a_mark_that_people_get_afterwards_does_not_help_the_score(plain):
    """The planted leak: without the guard it would look as if the score knew nearly everything."""
    late = scope_of(world("late"))
    leaky = numbers(late)
    honest = one(plain, "score_quality", method="model", measure="AUC")["value"]
    assert one(leaky, "score_quality", method="model", measure="AUC")["value"] == pytest.approx(honest, abs=1e-9)
    assert one(leaky, "score_quality", method="model", measure="AUC")["excluded"]["dropped by the leak guard"].startswith("tag (100 %)")
    assert "tag" not in scored(late).learned.words


def test_the_same_mark_given_before_does_help(plain):
    early = numbers(scope_of(world("early")))
    assert one(early, "score_quality", method="model", measure="AUC")["value"] > 0.95
    assert one(plain, "score_quality", method="model", measure="AUC")["value"] < 0.9


def test_values_of_later_versions_are_not_what_stood_then():
    """Guard off: a version from after the instant is still never read; the one before it is."""
    facts = world("late")
    people = facts["people"].to_pyarrow()
    first = people.set_column(people.column_names.index("updated_at"), "updated_at", people["created_at"])
    blank = first.set_column(first.column_names.index("attributes"), "attributes", pa.array(["{}"] * PEOPLE))
    version = pa.array([1] * PEOPLE + [2] * PEOPLE, pa.int64())
    both = pa.concat_tables([blank, people]).append_column("version", version)
    facts["versions.person"] = ibis.memtable(both)
    with no_guard():
        learned = past(scope_of(facts))
    assert learned.came.sum() > 50
    assert set(learned.words["tag"].tolist()) == {"(none)"}


def test_what_is_dated_is_cut_at_the_instant():
    learned = past(scope_of(world()))
    assert set(learned.words["known for days"].tolist()) == {"0-7", "8-30", "31-90", "over 90"}
    assert learned.words["last touch, days ago"][learned.words["known for days"] == "0-7"].tolist().count("8-30") == 0
    assert learned.at.max() + 90 <= moment("2026-06-01").timestamp() / 86400 + 1e-6


def test_a_lead_is_scored_by_what_made_others_come(plain):
    scope = scope_of(world())
    s = scored(scope)
    form = s.leads.numbers["forms"] > 0
    assert s.chance[form].mean() > 2 * s.chance[~form].mean()
    weights = {(r["dimensions"]["feature"], r["dimensions"]["value"]): r["value"] for r in plain if r["name"] == "score_weight"}
    assert weights[("source", "referral")] > 0 > weights[("source", "web")]
    assert any("source referral" in why for why in s.reasons)
    quality = {
        r["dimensions"]["measure"]: r["value"] for r in plain if r["name"] == "score_quality" and r["dimensions"]["method"] == "model"
    }
    assert quality["AUC"] > 0.6
    assert quality["Brier"] < quality["Brier of the base rate"]


def test_tenths_lift_and_capture_fit_together(plain):
    tenths = [one(plain, "score_tenth", method="model", tenth=i) for i in range(1, 11)]
    came, n = sum(r["numerator"] for r in tenths), sum(r["denominator"] for r in tenths)
    first = one(plain, "score_lift", method="model", tenth=1)["value"]
    assert first == pytest.approx(tenths[0]["value"] / (came / n))
    assert first > 1.5
    assert one(plain, "score_captured", method="model", best="10 %")["value"] == pytest.approx(tenths[0]["numerator"] / came)
    assert one(plain, "score_captured", method="model", best="100 %")["value"] == 1


def test_bands_are_cut_where_earlier_leads_lay_and_list_their_persons(plain):
    scope = scope_of(world())
    table = lead_scores(scope).to_pyarrow().to_pylist()
    assert {r["lead_band"] for r in table} <= set("ABCD")
    assert all((r["lead_score"] >= 90) == (r["lead_band"] == "A") for r in table)
    band = next(r for r in plain if r["name"] == "score_band" and r["value"])
    listed = rows(scope.facts, scope.funnel, NOW, "score_band", band["dimensions"]).to_pyarrow()
    assert listed.num_rows == band["value"]


def test_each_owners_leads_add_up_to_the_bands_and_are_listed(plain):
    scope = scope_of(world())
    owned = [r for r in plain if r["name"] == "score_owner"]
    assert {r["dimensions"]["owner"] for r in owned} == {"ada@firm.example", "(no owner)"}
    for band in (r for r in plain if r["name"] == "score_band"):
        assert sum(r["value"] for r in owned if r["dimensions"]["band"] == band["dimensions"]["band"]) == band["value"]
    listed = rows(scope.facts, scope.funnel, NOW, "score_owner", owned[0]["dimensions"]).to_pyarrow()
    assert listed.num_rows == owned[0]["value"]


def test_all_month_long_the_same_is_learned():
    facts = world()
    early = scored(Scope(facts, {"thresholds": FIELDS}, moment("2026-06-02")))
    late = scored(Scope(facts, {"thresholds": FIELDS}, NOW))
    assert early.model is not None
    assert late.model is not None
    assert early.model.coefficients == pytest.approx(late.model.coefficients)


def test_with_too_few_to_learn_from_points_are_given():
    found = numbers(scope_of(world(), score_min_positives=10_000))
    row = next(r for r in found if r["name"] == "score_band")
    assert row["dimensions"]["method"] == "points"
    assert row["excluded"]["score by"].startswith("points: ")
    assert one(found, "score_quality", method="points", measure="AUC")["value"] > 0.55
    scope = scope_of(world(), score_min_positives=10_000, score_points={"base": 10, "form": 70})
    table = lead_scores(scope).to_pyarrow().to_pylist()
    assert {(r["lead_score"], r["lead_band"], r["lead_reasons"]) for r in table} <= {(80, "A", "+form"), (10, "D", "")}
    assert {r["lead_probability"] for r in table} == {None}


def test_points_are_no_chances_but_more_points_are_a_better_one():
    """Of all past leads so many came; who has twice the points is taken for twice as likely."""
    s = scored(scope_of(world(), score_min_positives=10_000))
    chance = expected(s)
    assert chance.mean() == pytest.approx(s.learned.came.mean())
    two = [np.flatnonzero(s.score == points)[0] for points in np.unique(s.score)[-2:]]
    assert chance[two[1]] / chance[two[0]] == pytest.approx(s.score[two[1]] / s.score[two[0]])


def test_who_was_disqualified_is_learned_from_until_then_and_not_scored_any_more():
    facts = world()
    whole = past(scope_of(facts))
    name = next(who for who, age in zip(whole.who, whole.words["known for days"], strict=True) if age == "over 90")
    known_at = next(r["created_at"] for r in facts["person"].to_pyarrow().to_pylist() if r["entity_id"] == name)
    out = {"entity_id": [name], "code": ["MX"], "kind": ["person"], "implied": [False], "reached_at": [known_at + timedelta(days=40)]}
    milestone = facts["milestone"].to_pyarrow()
    facts["milestone"] = ibis.memtable(pa.concat_tables([milestone, pa.table(out, schema=milestone.schema)]))
    later = past(scope_of(facts))
    ages = [age for who, age in zip(later.who, later.words["known for days"], strict=True) if who == name]
    assert ages == ["0-7", "8-30"]
    person = facts["person"].to_pyarrow()
    stages = pa.array(["MX" if who == name else None for who in person["entity_id"].to_pylist()], pa.string())
    facts["person"] = ibis.memtable(person.set_column(person.column_names.index("stage"), "stage", stages))
    assert name not in present(scope_of(facts)).who


def test_who_is_an_opportunity_already_has_no_score():
    scope = scope_of(world())
    gone = set(scope.facts["milestone"].to_pyarrow()["entity_id"].to_pylist())
    assert not gone & set(lead_scores(scope).to_pyarrow()["entity_id"].to_pylist())


def test_points_for_an_unknown_signal_are_a_mistake_with_its_place(tmp_path):
    text = (SHIPPED / "funnel.yaml").read_text()
    (tmp_path / "funnel.yaml").write_text(text.replace("senior: 15", "seniority: 15"))
    with pytest.raises(UserError, match=r"funnel.yaml:\d+:\d+: .*unknown signal 'seniority'.*senior"):
        load_funnel(tmp_path / "funnel.yaml")


def test_a_model_whose_shares_have_moved_is_calibrated_by_the_later_leads():
    """Of the earlier leads six of ten came, of the later ones two."""
    random = np.random.default_rng(3)
    at = np.arange(2000.0)
    came = random.random(2000) < np.where(at < 1500, 0.6, 0.2)
    leads = Leads(tuple(map(str, range(2000))), at, came, {"x": np.array(["a", "b"] * 1000, object)}, {"visits": np.zeros(2000)})
    model = fit(leads)
    assert model.scale is not None
    assert model.chances(leads).mean() == pytest.approx(came[1500:].mean(), abs=0.01)  # as of late, and not the half of all
    steady = fit(Leads(leads.who, at, random.random(2000) < 0.4, leads.words, leads.numbers))
    assert steady.scale is None


def test_roles_sizes_and_countries_come_from_records_and_their_company():
    def person_row(name: str, title: str, **more: Any) -> dict[str, Any]:
        said = json.dumps({"job_title": title, "country": "Austria"} if title else {}, separators=(",", ":"))
        return row("person", "hubspot", name, email=f"{name}@firm.example", attributes=said, created_at="2026-06-01", **more)

    given = {
        "person": [person_row("a", "VP Sales", company_id="c"), person_row("b", "Engineer"), person_row("d", "")],
        "company": [row("company", "hubspot", "c", name="Firm", domain="firm.example", employees=120, industry="Steel")],
    }
    facts = Measured(NOW, {}, (), **given).facts
    scope = Scope(facts, {}, NOW)
    leads = present(scope)
    members = {r["entity_id"]: r["vendor_id"] for r in facts["members"].to_pyarrow().to_pylist()}
    names = [members[who] for who in leads.who]
    found = {name: {f: str(leads.words[f][i]) for f in ("role", "employees", "industry", "country")} for i, name in enumerate(names)}
    assert found == {
        "a": {"role": "senior", "employees": "50-249", "industry": "steel", "country": "austria"},
        "b": {"role": "other", "employees": "(none)", "industry": "(none)", "country": "austria"},
        "d": {"role": "(none)", "employees": "(none)", "industry": "(none)", "country": "(none)"},
    }
    shown = signals(leads)
    assert [names[i] for i in np.flatnonzero(shown["senior"] & shown["large"])] == ["a"]


def test_nobody_at_all():
    facts = {name: ibis.memtable(t.to_pyarrow().slice(0, 0)) for name, t in world().items()}
    found = numbers(scope_of(facts))
    assert [r["value"] for r in found if r["name"] == "score_quality"] == [None]
