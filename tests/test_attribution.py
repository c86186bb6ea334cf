"""Attribution by the models, against reference answers (R5, R7, R8) and literals."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import ibis
import pytest
from test_measure import Measured
from unified_rows import NOW, moment, row

from core.measure.attribution import chain, to_the_unit
from core.measure.attribution_models import weights
from core.measure.removal import CONVERTED, LOST, START, removal
from core.measure.touch_paths import paths

DAY = 86_400


def way(unit: str, channels: str, of: str = "won", **places):
    """One unit's touches, one a day: channels as letters; lead and deal are places counted from 1."""
    until = places.get("until", len(channels) * DAY)
    touches = [{"at": i * DAY, "channel": c} for i, c in enumerate(channels)]
    lead, deal = (None if places.get(p) is None else (places[p] - 1) * DAY for p in ("lead", "deal"))
    return {"of": of, "unit": unit, "until": until, "made": deal, "known": lead, "value": places.get("value", 1.0)}, touches


def paths_of(*ways) -> ibis.Table:
    """The paths of ways, each of one person, with the unit and the channel as it is called."""
    units = [{**unit, "no": i, "since": 0, "known_person": i if unit["known"] is not None else None} for i, (unit, _) in enumerate(ways)]
    numbers = dict.fromkeys(("no", "since", "until", "made", "known", "known_person"), "int64")
    units = ibis.memtable(units, schema=ibis.schema({"of": "string", "unit": "string", **numbers, "value": "float64"}))
    people = ibis.memtable(
        {"no": range(len(ways)), "person_no": range(len(ways))}, schema=ibis.schema({"no": "int64", "person_no": "int64"})
    )
    names = sorted({t["channel"] for _, touches in ways for t in touches})
    named = ibis.memtable(
        {"channel": names, "channel_no": range(len(names))}, schema=ibis.schema({"channel": "string", "channel_no": "int32"})
    )
    none = {"called_no": None, "campaign_no": None, "direct": False}
    touches = [
        {"person_no": i, "at": t["at"], "turn": turn, "channel_no": names.index(t["channel"]), **none}
        for i, (_, mine) in enumerate(ways)
        for turn, t in enumerate(mine)
    ]
    columns = {"person_no": "int64", "at": "int64", **dict.fromkeys(("turn", "channel_no", "called_no", "campaign_no"), "int32")}
    t = paths(units, people, ibis.memtable(touches, schema=ibis.schema({**columns, "direct": "boolean"})))
    return t.inner_join(named, "channel_no").inner_join(units.select("no", "of", "unit", "until", "value"), "no")


def shares(t: ibis.Table, half_life: float = 30) -> dict[str, list[float]]:
    """Every model's weights, in the order of the touches."""
    found = t.mutate(**{f"w_{name}": w for name, w in weights(t, half_life).items()}).order_by("unit", "seq").to_pyarrow()
    return {name[2:]: found[name].to_pylist() for name in found.column_names if name.startswith("w_")}


@pytest.fixture(scope="module")
def seven():
    return shares(paths_of(way("d", "abcdefg", lead=3, deal=5)))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("u", [0.4, 0.04, 0.4, 0.04, 0.04, 0.04, 0.04]),
        ("w", [0.3, 0.025, 0.3, 0.025, 0.3, 0.025, 0.025]),
        ("full path", [0.225, 0.1 / 3, 0.225, 0.1 / 3, 0.225, 0.1 / 3, 0.225]),
        ("j", [0.2, *[0.04] * 5, 0.6]),
        ("inverse j", [0.6, *[0.04] * 5, 0.2]),
        ("first", [1, 0, 0, 0, 0, 0, 0]),
        ("last", [0, 0, 0, 0, 0, 0, 1]),
        ("linear", [1 / 7] * 7),
    ],
)
def test_r8_weights_of_seven_touches(seven, model, expected):
    assert seven[model] == pytest.approx(expected, abs=1e-6)


def test_r8_time_decay_of_five_touches_in_14_days():
    unit, touches = way("d", "abcde", until=14 * DAY)
    for i, touch in enumerate(touches):
        touch["at"] = round(3.5 * i * DAY)
    found = shares(paths_of((unit, touches)), half_life=7)["time decay"]
    assert found == pytest.approx([0.0889, 0.1258, 0.1779, 0.2516, 0.3558], abs=5e-5)


@pytest.mark.parametrize(
    ("channels", "places", "model", "expected"),
    [
        ("a", {"lead": 1, "deal": 1}, "full path", [1]),  # one touch has all
        ("ab", {"lead": 1, "deal": 2}, "w", [2 / 3, 1 / 3]),  # no other touches: their share goes to the places
        ("abc", {"lead": 1}, "u", [0.8, 0.1, 0.1]),  # the first created the contact: both shares
        ("abc", {"lead": None}, "u", [0.8, 0.1, 0.1]),  # no touch created the contact
        ("abcd", {"lead": 2}, "w", [0.45, 0.45, 0.05, 0.05]),  # none was there when the deal was made
        ("abcd", {"lead": 2, "deal": 4}, "full path", [0.225, 0.225, 0.1, 0.45]),
        ("abc", {}, "j", [0.2, 0.2, 0.6]),
    ],
)
def test_places_that_coincide_add_up_and_missing_ones_are_shared_out(channels, places, model, expected):
    found = shares(paths_of(way("d", channels, **places)))[model]
    assert found == pytest.approx(expected)


def test_every_models_weights_add_up_to_one_in_every_unit():
    t = paths_of(way("1", "a"), way("2", "abab", lead=2, deal=3), way("3", "aabbc", deal=5), way("4", "ccc", lead=1))
    t = t.mutate(**{f"w{i}": w for i, w in enumerate(weights(t, 30).values())})
    sums = t.group_by("unit").agg(**{f"w{i}": t[f"w{i}"].sum() for i in range(10)}).to_pyarrow().to_pylist()
    assert [v for r in sums for k, v in r.items() if k != "unit"] == pytest.approx([1.0] * 40)


def test_r7_shapley_of_32_ways():
    sets = {"a": 10, "ab": 6, "bc": 4, "abc": 9, "c": 3}
    t = paths_of(*[way(f"{channels}{i}", channels + channels[:1], until=9 * DAY) for channels, n in sets.items() for i in range(n)])
    t = t.mutate(weight=weights(t, 30)["shapley"])
    found = {r["channel"]: r["credit"] for r in t.group_by("channel").agg(credit=t.weight.sum()).to_pyarrow().to_pylist()}
    assert found == pytest.approx({"a": 16, "b": 8, "c": 8}, abs=1e-6)


TOY = {
    (START, "c1"): 2, ("c1", "c2"): 1, ("c2", "c3"): 2, ("c3", CONVERTED): 1, ("c1", LOST): 1, (START, "c2"): 1, ("c3", LOST): 1,
}  # fmt: skip


def test_r5_removal_effects_of_the_toy():
    found = removal([TOY])
    assert found.conversion == pytest.approx(1 / 3, abs=1e-12)
    assert found.effect == pytest.approx({"c1": 0.5, "c2": 1, "c3": 1}, abs=1e-12)
    assert found.credit == pytest.approx({"c1": 0.2, "c2": 0.4, "c3": 0.4}, abs=1e-12)
    assert found.low == {}


def toy_paths() -> ibis.Table:
    return paths_of(way("1", "123"), way("2", "1", of="lost"), way("3", "23", of="never"))


def test_r5_steps_are_counted_in_the_engine():
    found = removal(chain(toy_paths(), "won", ("lost", "never")))
    assert found.credit == pytest.approx({"1": 0.2, "2": 0.4, "3": 0.4}, abs=1e-12)
    assert all(found.low[c] <= found.credit[c] <= found.high[c] for c in "123")
    assert found == removal(chain(toy_paths(), "won", ("lost", "never")))  # drawn from one seed


def test_a_channel_again_and_again_changes_no_removal_effect_and_the_chain_converts_as_the_ways_did():
    once = removal(chain(paths_of(way("1", "ab"), way("2", "b", of="lost"), way("3", "ca")), "won", ("lost",)))
    often = removal(chain(paths_of(way("1", "aaabb"), way("2", "bbb", of="lost"), way("3", "cca")), "won", ("lost",)))
    assert often.effect == pytest.approx(once.effect)
    assert once.conversion == often.conversion == pytest.approx(2 / 3)


def test_where_nothing_converted_nothing_is_credited():
    assert removal(chain(paths_of(way("1", "ab", of="lost")), "won", ("lost",))) is None
    assert removal([]) is None


def test_credits_are_rounded_so_that_they_add_up_and_the_largest_has_the_rest():
    found = to_the_unit({"a": 33.333333, "b": 33.333333, "c": 33.333334}, Decimal("100.00"), Decimal("0.01"))
    assert sum(found.values()) == Decimal("100.00")
    assert found == {"a": Decimal("33.33"), "b": Decimal("33.33"), "c": Decimal("33.34")}
    with pytest.raises(AssertionError):
        to_the_unit({"a": 90.0}, Decimal("100.00"), Decimal("0.01"))


# -- whole families on literal records -------------------------------------------------------------------------------------
def visit(id: str, person: str, at: str, channel: str, **more):
    return row("touch", "hubspot", id, person_id=person, kind="visit", channel=channel, occurred_at=at, **more)


WON = {"stage": "M80", "closed": True, "won": True, "currency": "EUR"}
PEOPLE = [
    row("person", "hubspot", "1", created_at="2026-03-01", email="one@acme.example"),
    row("person", "hubspot", "2", created_at="2026-03-05", email="two@acme.example"),
    row("person", "hubspot", "3", created_at="2026-03-06", email="three@acme.example"),
    row("person", "hubspot", "4", created_at="2026-02-01"),
]
DEALS = [
    row("deal", "hubspot", "d1", created_at="2026-04-01", close_date="2026-05-01", amount=1000, **WON),
    row("deal", "hubspot", "d2", created_at="2026-04-01", close_date="2026-05-02", amount="100.01", **WON),
    row("deal", "hubspot", "d3", created_at="2026-04-01", close_date="2026-05-02", amount=70, **{**WON, "currency": "USD"}),
    row("deal", "hubspot", "o1", created_at="2026-06-01", amount=500, currency="EUR", stage="M50"),
]  # fmt: skip
ROLES = [("d1", "1"), ("d1", "2"), ("d1", "3"), ("o1", "4")]
TOUCHES = [
    visit("a", "1", "2026-02-20T10:00", "Paid Search", source="google", campaign_id="spring"),
    visit("a2", "1", "2026-02-20T10:20", "Paid Search", source="google", campaign_id="spring"),  # the same session
    visit("b", "2", "2026-03-20T10:00", "Organic Social"),
    visit("c", "3", "2026-04-20T10:00", "Email", campaign_id="letter"),
    visit("late", "3", "2026-05-03T10:00", "Email", campaign_id="letter"),  # after it was won
    visit("early", "1", "2025-03-01T10:00", "Referral"),  # before the look-back
    visit("direct", "2", "2026-04-02T10:00", "Direct"),
    row("touch", "mailchimp", "o", person_id="x", email="one@acme.example", kind="open", channel="email", occurred_at="2026-04-03"),
    row("touch", "hubspot", "form", person_id="1", kind="conversion", event="generate_lead", channel="web",
        occurred_at="2026-02-20T10:25"),
    row("touch", "hubspot", "sold", person_id="1", kind="conversion", event="close_convert_lead", channel="web",
        occurred_at="2026-04-30", stage="M80"),
    visit("s", "4", "2026-05-20T10:00", "Direct"),
]  # fmt: skip
COSTS = [row("campaign", "salesforce", "c1", name="Spring", cost=250, currency="EUR", started_at="2026-02-01", channel="Paid Search")]


@pytest.fixture(scope="module")
def found() -> Measured:
    roles = [row("association", "hubspot", f"{d}{p}", from_kind="deal", from_id=d, to_kind="person", to_id=p) for d, p in ROLES]
    funnel = {"thresholds": {"currency": "EUR"}}
    return Measured(
        NOW, funnel, ("attribution",), person=PEOPLE, deal=DEALS, association=roles, touch=TOUCHES, campaign=COSTS,
    )  # fmt: skip


def credit(found: Measured, name: str, **dims) -> dict[str, float]:
    return {r["dimensions"]["channel"]: r["value"] for r in found.all(name, **dims) if "channel" in r["dimensions"]}


def test_a_deal_of_three_persons_is_credited_once(found):
    linear = credit(found, "attributed_deals", of="won", model="linear")
    third = 1 / 3
    assert linear == pytest.approx({"paid search": third, "social": third, "email": third, "(unattributed)": 2, "all": 3}, abs=1e-5)
    assert sum(v for k, v in linear.items() if k != "all") == pytest.approx(linear["all"], abs=1e-12)


def test_credits_and_what_nobody_touched_are_the_revenue_to_the_cent(found):
    for model in {r["dimensions"]["model"] for r in found.all("attributed_value", of="won")}:
        by = credit(found, "attributed_value", of="won", model=model)
        assert by.pop("all") == 1100.01
        assert sum(Decimal(str(v)) for v in by.values()) == Decimal("1100.01")
        assert by["(unattributed)"] == 100.01
    assert found.one("attributed_value", of="won", model="linear", channel="all")["excluded"] == {"in USD": 1}
    assert found.one("sourced_value", of="won", definition="first touch")["value"] == 1000


def test_first_lead_and_deal_touches_are_found_over_all_persons(found):
    w = credit(found, "attributed_value", of="won", model="w")
    assert (w["paid search"], w["social"], w["email"]) == pytest.approx((600, 300, 100))  # first and lead; deal; the other
    last = credit(found, "attributed_value", of="won", model="last")
    assert (last["email"], last["paid search"]) == (1000, 0)


def test_direct_counts_only_where_nothing_else_is_known(found):
    assert "direct" not in credit(found, "attributed_value", of="won", model="linear")
    assert credit(found, "attributed_value", of="open", model="linear") == {"direct": 500, "(unattributed)": 0, "all": 500}


def test_markov_credits_are_the_whole_too(found):
    by = credit(found, "attributed_value", of="won", model="markov")
    assert by == pytest.approx(
        {"paid search": 333.33, "social": 333.33, "email": 333.34, "(unattributed)": 100.01, "all": 1100.01}, abs=0.011
    )
    assert found.one("attributed_value", of="won", model="markov", channel="email")["excluded"] == {"few ways by this channel": 1}
    assert found.one("way_conversion", of="won")["value"] == 1


def test_influence_counts_a_deal_at_each_channel_and_once_in_all(found):
    by = credit(found, "influenced_value", of="won")
    assert by == {"paid search": 1000, "social": 1000, "email": 1000, "all": 1000}
    assert found.one("influenced_deals", of="won", campaign="letter")["value"] == 1
    assert credit(found, "influenced_deals", of="open") == {}  # direct is no marketing


def test_cost_per_won_deal_and_return(found):
    assert found.one("campaign_cost", campaign="Spring")["value"] == 250
    per = found.one("cost_per", campaign="Spring", of="won")
    assert per["value"] == pytest.approx(250 / 0.6)
    assert found.one("campaign_return", campaign="Spring")["value"] == pytest.approx(600 / 250)


def test_costs_by_the_day_come_before_the_campaigns_own_and_count_in_the_window():
    days = [
        row("tally", "files", f"{d}", day=d, measure="cost", value=v, attributes='{"campaign":"SPRING","channel":"x"}')
        for d, v in (("2026-02-10", 30.0), ("2026-03-10", 20.0), ("2024-03-10", 999.0))
    ]
    others = [{**COSTS[0], "vendor_id": "2", "name": "Old", "started_at": moment("2024-01-01")}]
    others += [{**COSTS[0], "vendor_id": "3", "name": "US", "currency": "USD"}]
    found = Measured(NOW, {"thresholds": {"currency": "EUR"}}, ("attribution",), campaign=[*COSTS, *others], tally=days)
    cost = found.one("campaign_cost", campaign="SPRING")
    assert (cost["value"], cost["excluded"]) == (50, {"without a currency, taken as": "EUR", "counted by": "files tally"})
    assert found.one("campaign_cost", campaign="all")["value"] == 50


def test_numbers_list_their_deals(found):
    assert found.behind("attributed_value", of="won", model="w", channel="social", currency="EUR") == {"d1"}
    assert found.behind("attributed_deals", of="won", model="w", channel="(unattributed)") == {"d2", "d3"}
    assert found.behind("attributed_deals", of="open", model="w", channel="all") == {"o1"}
    assert found.behind("influenced_deals", of="won", channel="email") == {"d1"}


# -- cases that touch each other nowhere, in one world ---------------------------------------------------------------------
def won(id: str, account: str = "salesforce", **values):
    return row("deal", account, id, created_at="2026-04-01", close_date="2026-05-01", amount=10, **{**WON, **values})


@pytest.fixture(scope="module")
def cases() -> Measured:
    roles = (("both", "1"), ("sold", "1"), ("cold", "2"))
    return Measured(
        NOW, None, ("attribution",),
        person=[
            row("person", "hubspot", "1", created_at="2026-03-01", source="ORGANIC_SEARCH"), row("person", "hubspot", "2"),
            row("person", "salesforce", "lead", resource="Lead", created_at="2026-03-01", converted=False, email="l@x.example"),
            row("person", "salesforce", "member", created_at="2026-03-01"),
            *[row("person", "salesforce", p, company_id="a", created_at="2026-03-01") for p in ("p", "q")],
        ],
        company=[row("company", "salesforce", "a")],
        deal=[
            *[won(id, "hubspot") for id in ("both", "sold")], won("cold", "hubspot", source="Cold Call"),
            won("fair", person_id="member"), won("nobody's", company_id="a"),
            row("deal", "salesforce", "usd", created_at="2026-06-01", amount=500, currency="USD", stage="M50"),
        ],
        association=[row("association", "hubspot", d, from_kind="deal", from_id=d, to_kind="person", to_id=p) for d, p in roles],
        campaign=[row("campaign", "salesforce", "f", name="Fair", channel="Trade Show")],
        task=[
            row("task", "hubspot", "t", deal_id="sold", due_at="2026-03-05", done=True),
            row("task", "hubspot", "planned", deal_id="both", due_at="2026-03-01", done=False),
        ],
        touch=[
            visit("v", "1", "2026-03-10", "Display"), visit("w", "2", "2026-04-10", "Display"),
            row("touch", "salesforce", "t", person_id="lead", kind="visit", channel="Email", occurred_at="2026-02-27"),
            row("touch", "salesforce", "u", person_id="lead", kind="visit", channel="Podcast", occurred_at="2026-03-02"),
            row("touch", "salesforce", "m", person_id="member", campaign_id="f", kind="response", channel="campaign",
                occurred_at="2026-03-02"),
            row("touch", "salesforce", "n", person_id="member", campaign_id="f", kind="send", channel="campaign",
                occurred_at="2026-03-09"),
            *[
                row("touch", "salesforce", f"t{p}", person_id=p, kind="visit", channel=c, occurred_at=NOW - timedelta(days=100))
                for p, c in (("p", "Organic Social"), ("q", "Referral"))
            ],
        ],
    )  # fmt: skip


def test_persons_are_credited_when_they_became_leads_by_their_own_touches(cases):
    assert credit(cases, "attributed_persons", of="M20", model="last") == {"email": 1, "(unattributed)": 0, "all": 1}


def test_a_campaigns_channel_stands_for_its_members_who_answered(cases):
    assert credit(cases, "attributed_deals", of="won", model="last")["offline"] == 1
    assert cases.one("attributed_deals", of="won", campaign="Fair")["value"] == 1


def test_a_deal_nobody_has_a_role_on_is_its_companys(cases):
    by = credit(cases, "attributed_deals", of="won", model="linear")
    assert (by["social"], by["referral"], by["(unattributed)"]) == (0.5, 0.5, 0)


def test_sourced_by_three_definitions(cases):
    by = {r["dimensions"]["definition"]: r["value"] for r in cases.all("sourced_deals", of="won")}
    assert by == {"lead source": 2, "first touch": 4, "before sales": 3}  # cold: a touch came after the deal
    assert cases.behind("sourced_deals", of="won", definition="before sales") == {"both", "fair", "nobody's"}
