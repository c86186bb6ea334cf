"""What the Optimizely connector tells of won deals: it moves the results of what the visitor was shown, once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from optimizely_account import E2, Account, account, shown, won

from connectors.optimizely import CONNECTOR
from connectors.optimizely_write import Unfit, hundredths
from connectors.sandbox.kit import Fault, Reply, Request
from connectors.sandbox.world_optimizely import ACCOUNT, EVENTS, FLAG_EXPERIMENT, FLAGS, WEB
from core.connector import PushField


@pytest.fixture
def web() -> Iterator[Account]:
    with account() as opened:
        yield opened


@pytest.fixture
def telling() -> Iterator[Account]:
    with account(writes=True) as opened:
        yield opened


# -- events ------------------------------------------------------------------------------------------------------------------------------
def test_a_won_deal_moves_the_results_of_what_its_visitor_was_shown(telling: Account) -> None:
    visitor = shown(telling, E2)
    [seen] = [s for s in telling.emulator.store.seen[visitor] if s.experiment == E2]
    keys = [f"{E2}:{seen.variation}:{EVENTS['deal_won']}.unique.visitor", f"{E2}:{seen.variation}:all.sum.revenue.visitor"]
    before = telling.mapped("results")
    results = telling.write(won(visitor))
    assert [(r.key, r.ok) for r in results.values()] == [("w1", True)]
    after = telling.mapped("results")
    assert [after[k]["value"] - before[k]["value"] for k in keys] == [1.0, 1200.50]
    assert {k for k in after if after[k]["value"] != before[k]["value"]} == set(keys)


def test_an_event_told_twice_counts_once(telling: Account) -> None:
    visitor = shown(telling, E2)
    for _ in range(2):
        telling.write(won(visitor))
    assert telling.emulator.heard(visitor, "deal_won") == 1


def test_a_500_is_asked_again_and_counts_once(telling: Account) -> None:
    visitor = shown(telling, E2)
    telling.emulator.faults.append(Fault("error", match="/v1/events", status=500, times=2))
    assert telling.write(won(visitor))["w1"].ok
    assert telling.emulator.heard(visitor, "deal_won") == 1


def sent(web: Account) -> list[Request]:
    seen: list[Request] = []
    honest = web.emulator.decorate

    def decorate(request: Request, reply: Reply) -> Reply:
        if request.path == "/v1/events":
            seen.append(request)
        return honest(request, reply)

    web.emulator.decorate = decorate  # type: ignore[method-assign]
    return seen


def test_logx_gets_texts_as_ids_milliseconds_hundredths_and_never_our_token(telling: Account) -> None:
    requests = sent(telling)
    telling.write(won("v1", deal="D-1"))
    [request] = requests
    told = request.json()
    [event] = told["visitors"][0]["snapshots"][0]["events"]
    assert (told["account_id"], told["enrich_decisions"], request.headers["x-optimizely-strict"]) == (str(ACCOUNT), True, "true")
    assert (event["timestamp"], event["revenue"], event["entity_id"]) == (1_782_774_000_000, 120_050, str(EVENTS["deal_won"]))
    assert event["properties"] == {"currency": "EUR", "deal": "D-1"}
    assert "authorization" not in request.headers


def test_an_event_without_a_value_has_no_revenue(telling: Account) -> None:
    requests = sent(telling)
    telling.write(won("v1", value=None, currency=None))
    [event] = requests[0].json()["visitors"][0]["snapshots"][0]["events"]
    assert "revenue" not in event
    assert event["properties"] == {}


@pytest.mark.parametrize(("amount", "cents"), [("0.1", 10), ("19.99", 1999), ("1e3", 100_000), ("0.005", 0), ("-3", -300)])
def test_amounts_become_whole_hundredths(amount: str, cents: int) -> None:
    assert hundredths(amount) == cents


@pytest.mark.parametrize("amount", ["twelve", "1e30", "NaN", "Infinity"])
def test_a_value_that_is_no_revenue_fails_alone(telling: Account, amount: str) -> None:
    with pytest.raises(Unfit):
        hundredths(amount)
    results = telling.write(won("v1", "w1"), won("v2", "w2", value=amount))
    assert {key: r.ok for key, r in results.items()} == {"w1": True, "w2": False}


def test_a_batch_that_strict_mode_refuses_is_told_one_by_one(telling: Account) -> None:
    results = telling.write(won("v1", "w1"), won("", "w2"), won("v3", "w3"))
    assert {key: (r.ok, r.code) for key, r in results.items()} == {"w1": (True, ""), "w2": (False, "refused"), "w3": (True, "")}
    assert [telling.emulator.heard(v, "deal_won") for v in ("v1", "v3")] == [1, 1]


def test_a_custom_event_that_is_missing_is_created_first_or_logx_would_drop_it(telling: Account) -> None:
    visitor = shown(telling, E2)
    assert telling.write(won(visitor, event="deal_lost"), won(visitor, "w2", event="deal_lost"))["w1"].ok
    assert telling.emulator.heard(visitor, "deal_lost") == 2
    assert [path for method, path, _ in telling.emulator.log if method == "POST"] == [f"/v2/projects/{WEB}/custom_events", "/v1/events"]
    target = CONNECTOR.target("events")
    assert target.ensure is not None
    fields = [PushField("events", "deal_lost", "Deal lost"), PushField("events", "lead_qualified", "Lead qualified")]
    assert list(target.ensure(telling.session, fields)) == ["lead_qualified"]
    assert list(target.ensure(telling.session, fields)) == []


def test_an_event_whose_name_the_vendor_refuses_fails_alone_and_says_why(telling: Account) -> None:
    results = telling.write(won("v1", "w1", event="k" * 65), won("v1", "w2"))
    assert (results["w1"].ok, results["w2"].ok) == (False, True)
    assert "could not be created" in results["w1"].message


def test_the_setting_says_whose_events_are_told() -> None:
    with account(writes=True, project_id=str(FLAGS)) as opened:
        visitor = shown(opened, FLAG_EXPERIMENT)
        assert opened.write(won(visitor, event="dosed"))["w1"].ok
        assert opened.emulator.heard(visitor, "dosed") >= 1
    with account(writes=True, project_id="17") as opened:
        assert "project_id" in opened.write(won("v1"))["w1"].message
