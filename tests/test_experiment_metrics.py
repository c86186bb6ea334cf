"""From variants to revenue on literal records: tests that a web analytics export shows whole, and tests only their tool knows."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from test_measure import Measured
from test_statistics import groups, sums
from unified_rows import NOW, moment, row

from core.statistics.chances import of_counts
from core.statistics.clusters import grouped_means
from core.statistics.effects import difference
from core.statistics.proportions import newcombe, pooled_p
from core.statistics.sample_ratio import chi_square

FEBRUARY = moment("2026-02-01")
TOOL = {"41": "Prices", "42": "Broken", "43": "Accounts"}  # VWO's tests; Optimizely's: 900 is over, 901 runs
ADAPTED = {"thresholds": {"currency": "EUR", "experiment_before_days": 30}}


def tallies(account: str, test: str, variation: str, name: str, visitors: float, base: bool = False, **more: Any) -> list[dict[str, Any]]:
    said = f'"experiment_id":"{test}","variation_id":"{variation}","variant":"{name}","baseline":{str(base).lower()}'
    hits = more.get("hits", 3)
    figures = f'{said},"metric":"Form","visitors":{visitors},"rate":0.25,"lift":0.123,"significance":0.8125'
    return [
        row("tally", account, f"{test}:{variation}:{measure}", measure=measure, value=value, day="2026-03-01", attributes=f"{{{words}}}")
        for measure, value, words in (
            ("experiment_share", more.get("share", 0.5), said),
            ("experiment_visitors", visitors, said),
            ("experiment_conversions", hits, figures),
        )
    ]


class Site:
    """Records of visitors, as they come."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {k: [] for k in ("touch", "person", "deal", "company", "association")}

    def visitor(
        self, test: str, arm: str, name: str, day: float = 0, person: str = "", company: str | None = None, before: int = 0
    ) -> None:
        at = FEBRUARY + timedelta(days=day)
        link = f"web:clients:{name}"
        event = f"vwo-{test}-{arm}"
        self.rows["touch"].append(row("touch", "web", f"{test}{name}{arm}", kind="exposure", event=event, occurred_at=at, links=[link]))
        for i in range(before + 1):  # the last one is the visit in which he saw the test
            self.rows["touch"].append(
                row("touch", "web", f"{test}{name}{arm}v{i}", kind="visit", channel="Email", links=[link],
                    occurred_at=at - timedelta(days=before - i))
            )  # fmt: skip
        if person:
            self.person(person, link, company)

    def person(self, person: str, link: str, company: str | None = None) -> None:
        known = next((p for p in self.rows["person"] if p["vendor_id"] == person), None)
        if known is not None:
            known["links"] = [*known["links"], link]
            return
        self.rows["person"].append(row("person", "hubspot", person, created_at="2026-02-02", company_id=company, links=[link]))

    def deal(self, id: str, *persons: str, made: str = "2026-02-20", won: str | None = None, amount: float = 1000) -> None:
        outcome = {"stage": "M80", "closed": True, "won": True, "close_date": won} if won else {"stage": "M50"}
        self.rows["deal"].append(row("deal", "hubspot", id, created_at=made, amount=amount, currency="EUR", **outcome))
        self.rows["association"] += [
            row("association", "hubspot", f"{id}{p}", from_kind="deal", from_id=id, to_kind="person", to_id=p) for p in persons
        ]


def site() -> dict[str, list[dict[str, Any]]]:
    s = Site()
    for arm, winners in (("1", 2), ("2", 5)):  # 41: 20 visitors each, everybody his own account
        for i in range(20):
            person = f"p{arm}-{i}" if i < 8 else ""
            s.visitor("41", arm, f"a{arm}-{i}", person=person, before=i % 4)
            if i < winners:
                s.deal(f"d{arm}-{i}", person, won="2026-03-20", amount=1000 + i)
    s.deal("late", "p1-6", won="2026-06-20")  # won more than 90 days after: an opportunity, no sale
    s.deal("older", "p1-7", made="2026-01-20", won="2026-03-01")  # there before he saw the test
    s.visitor("41", "1", "twice", day=1, person="both")
    s.visitor("41", "2", "twice-again", day=2, person="both")  # saw two variants by two browsers
    s.deal("both", "both", won="2026-03-20")
    s.visitor("41", "2", "phone", day=3, person="p2-0")  # a second browser, the same variant: the sale is the first one's
    s.visitor("41", "1", "young", day=100)  # 49 days ago: old enough for opportunities, not for sales
    for arm, n in (("1", 60), ("2", 20)):
        for i in range(n):
            s.visitor("42", arm, f"b{arm}-{i}")
    for arm in "12":  # 43: pairs of colleagues, the third company in both arms
        for i in range(12):
            company = f"c{arm}{i // 2}" if i > 1 else "c-shared"
            s.visitor("43", arm, f"c{arm}-{i}", day=i / 10 + (arm == "2"), person=f"q{arm}-{i}", company=company)
    s.deal("pair", "q2-4", "q2-5", won="2026-03-20")
    s.deal("shared", "q1-0", "q2-0", won="2026-03-20")  # of both arms: he in arm 1 was first
    companies = sorted({p["company_id"] for p in s.rows["person"] if p["company_id"]})
    s.rows["company"] = [row("company", "hubspot", c) for c in companies]
    for i, (test, arm) in enumerate((t, a) for t in ("900", "901") for a in ("7", "8") for _ in range(3)):
        link = f"optimizely:visitors:o{i}"
        s.rows["touch"].append(
            row("touch", "optimizely", f"o{i}", kind="exposure", event=arm, campaign_id=test, links=[link], occurred_at=FEBRUARY,
                attributes=f'{{"variation_id":"{arm}"}}')
        )  # fmt: skip
        s.person(f"o{i}", link)
    s.deal("opti", "o3", won="2026-02-25")
    s.deal("opti2", "o4", won="2026-02-25")
    return s.rows


@pytest.fixture(scope="module")
def found() -> Measured:
    known = site()
    tests = [
        row("experiment", "vwo", id, name=name, started_at="2026-01-31", ended_at="2026-03-10", variants=["control", "new"])
        for id, name in TOOL.items()
    ]
    tests += [
        row("experiment", "optimizely", id, name=name, started_at="2026-01-31", ended_at=end, variants=["old", "new"])
        for id, name, end in (("900", "Over", "2026-03-01"), ("901", "Running", None))
    ]
    counted = [t for id in TOOL for t in (*tallies("vwo", id, "1", "control", 40, True), *tallies("vwo", id, "2", "new", 44, hits=9))]
    counted += [
        t for id in ("900", "901") for t in (*tallies("optimizely", id, "7", "old", 100, True), *tallies("optimizely", id, "8", "new", 100))
    ]
    counted += tallies("vwo", "44", "1", "control", 600, True) + tallies("vwo", "44", "2", "new", 400)
    tests.append(row("experiment", "vwo", "44", name="Uneven", started_at="2026-01-31", ended_at="2026-03-10", variants=["control", "new"]))
    return Measured(NOW, ADAPTED, ("experiments",), experiment=tests, tally=counted, **known)


def one(found: Measured, name: str, test: str, variant: str = "new", **dims: Any) -> dict[str, Any]:
    return found.one(name, experiment=test, **({"variant": variant} if variant else {}), **dims)


def test_a_variant_is_followed_to_opportunities_and_sales(found):
    rates = {v: one(found, "experiment_rate", "Prices", v, goal="won") for v in ("control", "new")}
    assert [(r["numerator"], r["denominator"]) for r in rates.values()] == [(2, 20), (5, 21)]
    deals = {v: one(found, "experiment_rate", "Prices", v, goal="M50") for v in ("control", "new")}
    assert [(r["numerator"], r["denominator"]) for r in deals.values()] == [(3, 21), (5, 21)]


def test_everybody_is_watched_equally_long(found):
    assert one(found, "experiment_rate", "Prices", "control", goal="won")["excluded"] == {"not watched long enough": 1}
    assert one(found, "experiment_rate", "Prices", "control", goal="M50")["excluded"] == {}


def test_who_saw_two_variants_is_in_neither(found):
    seen = {v: one(found, "experiment_visitors", "Prices", v) for v in ("control", "new")}
    assert [(r["value"], r["excluded"]) for r in seen.values()] == [
        (21, {"saw several variants": 1}),
        (21, {"saw several variants": 1}),
    ]


def test_a_second_browser_of_a_buyer_is_a_visitor_without_a_sale(found):
    mean = one(found, "experiment_mean", "Prices", goal="revenue")
    assert (mean["numerator"], mean["denominator"]) == (sum(1000 + i for i in range(5)), 21)


def test_one_deal_of_two_colleagues_is_one_visitors_and_of_two_arms_the_first_ones(found):
    rates = {v: one(found, "experiment_rate", "Accounts", v, goal="won")["numerator"] for v in ("control", "new")}
    assert rates == {"control": 1, "new": 1}
    assert one(found, "experiment_mean", "Accounts", goal="revenue")["numerator"] == 1000


def test_lone_visitors_have_newcombes_interval(found):
    dims = {"goal": "M50", "against": "control"}
    low, high = newcombe((3, 21), (5, 21))
    # the two browsers of one person are one account: so the interval is the clusters', near Newcombe's
    effect = one(found, "experiment_effect", "Prices", **dims)
    assert effect["value"] == pytest.approx(5 / 21 - 3 / 21)
    assert (effect["low"], effect["high"]) == pytest.approx((low, high), abs=0.05)
    assert one(found, "experiment_p", "Prices", **dims)["value"] == pytest.approx(pooled_p((3, 21), (5, 21)), abs=0.03)


def test_lifts_are_told_three_ways_and_the_anytime_interval_is_the_widest(found):
    dims = {"goal": "won", "against": "control"}
    plain, always = one(found, "experiment_lift", "Prices", **dims), one(found, "experiment_lift_anytime", "Prices", **dims)
    cuped = one(found, "experiment_lift_cuped", "Prices", **dims)
    assert plain["value"] == always["value"] == pytest.approx((5 / 21) / (2 / 20) - 1)
    assert always["high"] - always["low"] > plain["high"] - plain["low"] > 0
    assert cuped["value"] != plain["value"]
    assert one(found, "experiment_detectable", "Prices", **dims)["value"] > 1
    assert one(found, "experiment_visitors_needed", "Prices", **dims)["value"] > 1000


def test_corrected_p_values_are_never_smaller(found):
    ps = {tuple(r["dimensions"].items()): r["value"] for r in found.all("experiment_p")}
    corrected = {tuple(r["dimensions"].items()): r["value"] for r in found.all("experiment_p_corrected")}
    assert ps.keys() == corrected.keys()
    assert all(corrected[k] >= p - 1e-12 for k, p in ps.items())


def test_a_broken_sample_shows_no_effect_and_says_why(found):
    p = chi_square([60, 20], [1, 1])[1]
    assert one(found, "experiment_sample_ratio", "Broken", "")["value"] == pytest.approx(p)
    lifts = found.all("experiment_lift", experiment="Broken")
    assert lifts
    assert all(r["value"] is None and r["excluded"]["not computable"].startswith("sample ratio mismatch") for r in lifts)
    assert found.all("experiment_effect", experiment="Broken") == found.all("experiment_p", experiment="Broken") == []
    assert one(found, "experiment_rate", "Broken", goal="M50")["value"] == 0  # what was counted stays


def test_visitors_only_the_tool_counted_came_to_nothing(found):
    rate = one(found, "experiment_rate", "Over", "new", goal="won")
    assert (rate["numerator"], rate["denominator"]) == (2, 100)
    assert one(found, "experiment_visitors", "Over", "new")["excluded"] == {"only counted by the tool": 97}
    effect = one(found, "experiment_effect", "Over", goal="won", against="old")
    assert (effect["low"], effect["high"]) == pytest.approx(newcombe((0, 100), (2, 100)))
    assert one(found, "experiment_p", "Over", goal="won", against="old")["value"] == pytest.approx(pooled_p((0, 100), (2, 100)))
    assert found.all("experiment_lift_cuped", experiment="Over") == []  # visits before are known of the CRM's visitors only


def test_a_running_test_whose_visitors_only_the_tool_counts_waits(found):
    rate = one(found, "experiment_rate", "Running", "new", goal="won")
    assert rate["value"] is None
    assert "90 days after the test's end" in rate["excluded"]["not computable"]
    assert all(r["value"] is None for r in found.all("experiment_lift", experiment="Running"))


def test_few_amounts_are_compared_by_drawing(found):
    effect = one(found, "experiment_effect", "Over", goal="revenue", against="old")
    assert (effect["value"], effect["low"]) == (20, 0)
    assert 30 < effect["high"] < 60


def test_the_tools_numbers_stand_as_they_came(found):
    figures = {r["dimensions"]["figure"]: r["value"] for r in found.all("experiment_vendor", experiment="Prices", variant="new")}
    assert figures == {"visitors": 44, "conversions": 9, "rate": 0.25, "lift": 0.123, "significance": 0.8125}
    dims = {"goal": "Form", "against": "control"}
    assert one(found, "experiment_goal_improvement", "Prices", **dims)["value"] == pytest.approx((9 / 44) / (3 / 40) - 1)
    ours = of_counts((3, 40), (9, 44))
    assert one(found, "experiment_goal_chance", "Prices", **dims)["value"] == pytest.approx(ours.better)
    assert one(found, "experiment_goal_loss", "Prices", **dims)["value"] == pytest.approx(ours.loss_treatment)
    assert one(found, "experiment_goal_chance", "Uneven", **dims)["value"] is None


def test_clusters_are_summed_in_the_engine_as_one_by_one(found):
    """The same effect from the visitors' rows: two of each company, and one company with two visitors in each arm."""
    rows = [
        (f"c{arm}{i // 2}" if i > 1 else "c-shared", arm, float((arm, i) in ((0, 0), (1, 4))), 0.0) for arm in (0, 1) for i in range(12)
    ]
    arms = [sums([(y, x) for _, arm, y, x in rows if arm == of]) for of in (0, 1)]
    pair = grouped_means(*(a.estimate() for a in arms), *groups(rows))
    assert pair.shared != 0
    expected = difference(pair.control, pair.treatment, shared=pair.shared, df=pair.df)
    effect = one(found, "experiment_effect", "Accounts", goal="won")
    assert (effect["value"], effect["low"], effect["high"]) == pytest.approx((expected.value, expected.low, expected.high))
    assert one(found, "experiment_p", "Accounts", goal="won")["value"] == pytest.approx(expected.p)


def test_numbers_list_their_persons(found):
    dims = {"experiment": "Prices", "tool": "vwo", "variant": "control"}
    assert found.behind("experiment_rate", **dims, goal="won", days=90) == {"p1-0", "p1-1"}
    assert found.behind("experiment_visitors", **dims) == {f"p1-{i}" for i in range(8)}  # and not who saw both
