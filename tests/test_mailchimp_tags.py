"""Mailchimp tags: as statements, by prefix, one by one, and in asynchronous batches when there are many."""

from __future__ import annotations

import pytest
from test_mailchimp import A, Account, account, person, vid, world

from connectors.mailchimp_batches import PATIENCE_S
from connectors.mailchimp_write import BATCHES_ABOVE
from connectors.sandbox.kit import Fault
from core.connector import Write
from core.errors import VendorUnavailable

MANY = BATCHES_ABOVE + 30


def test_tags_are_statements_and_start_no_automation() -> None:
    with account(world([person(1, tags=["Cold"])]), writes=True) as mc:
        fields = ["+tag:Hot", "-tag:Cold", "+tag:Cold"]
        assert mc.read_back([vid(1)], fields)[vid(1)] == {"+tag:Hot": None, "-tag:Cold": None, "+tag:Cold": "true"}
        assert mc.write(Write("a", vid(1), {"+tag:Hot": "true", "-tag:Cold": "true"}))["a"].ok
        assert mc.read_back([vid(1)], fields)[vid(1)] == {"+tag:Hot": "true", "-tag:Cold": "true", "+tag:Cold": None}
        mc.emulator.clock.advance(5)
        assert mc.read_back([vid(1)], fields)[vid(1)] == {"+tag:Hot": "true", "-tag:Cold": "true", "+tag:Cold": None}
        assert mc.session.tags_sent == {}
        assert mc.emulator.audiences.automations_started == []
        mc.write(Write("u", vid(1), {"+tag:Hot": None}))  # undone
        mc.emulator.clock.advance(5)
        assert mc.read_back([vid(1)], ["+tag:Hot"])[vid(1)] == {"+tag:Hot": None}


def test_a_tag_with_a_prefix_replaces_its_siblings_only() -> None:
    with account(world([person(1, tags=["stage:lead", "stage:old", "Vip"]), person(2)]), writes=True) as mc:
        assert mc.read_back([vid(1)], ["tag:stage:"])[vid(1)] == {"tag:stage:": "lead, old"}
        results = mc.write(Write("a", vid(1), {"tag:stage:": "mql"}), Write("b", vid(2), {"tag:stage:": "mql", "NOTE": "n"}))
        assert results["a"].ok
        assert results["b"].ok
        for _ in "before and after Mailchimp shows it":
            found = mc.read_back([vid(1), vid(2)], ["tag:stage:", "+tag:Vip"])
            assert found == {vid(1): {"tag:stage:": "mql", "+tag:Vip": "true"}, vid(2): {"tag:stage:": "mql", "+tag:Vip": None}}
            mc.emulator.clock.advance(1)
        mc.write(Write("u", vid(1), {"tag:stage:": None}))
        mc.emulator.clock.advance(5)
        assert mc.read_back([vid(1)], ["tag:stage:"])[vid(1)] == {"tag:stage:": None}


def waiting(mc: Account) -> Account:
    """Whoever waits moves the vendor's clock on."""
    mc.transport._sleep = mc.emulator.clock.advance
    return mc


def tagged(mc: Account, *, value: str = "mql", more: tuple[Write, ...] = ()) -> dict[str, object]:
    return mc.write(*(Write(f"k{i}", vid(i), {"tag:stage:": value}) for i in range(MANY)), *more)


def calls(mc: Account, part: str) -> int:
    return sum(part in path for _, path, _ in mc.emulator.log)


def test_many_tags_go_in_one_batch_and_each_member_has_an_answer_of_its_own() -> None:
    with account(world([person(i, tags=["stage:lead", "Vip"]) for i in range(MANY)]), writes=True) as mc:
        waiting(mc)
        mc.read_back([vid(i) for i in range(MANY)], ["tag:stage:"])
        mc.emulator.audiences.forget(A, "p7@acme.test")
        results = tagged(mc)
        assert {key: r.code for key, r in results.items() if not r.ok} == {"k7": "missing"}  # type: ignore[attr-defined]
        assert "@" not in results["k7"].message  # type: ignore[attr-defined]
        assert (calls(mc, "/batches"), calls(mc, "/tags")) != (0, 0)
        assert [path for method, path, _ in mc.emulator.log if path.endswith("/tags") and method == "POST"] == []
        found = mc.read_back([vid(i) for i in range(MANY)], ["tag:stage:", "+tag:Vip"])
        assert set(map(str, found.values())) == {"{'tag:stage:': 'mql', '+tag:Vip': 'true'}"}
        assert len(found) == MANY - 1
        assert mc.emulator.audiences.automations_started == []


def test_few_tags_wait_for_no_batch() -> None:
    with account(world([person(i) for i in range(3)]), writes=True) as mc:
        mc.write(*(Write(f"k{i}", vid(i), {"tag:stage:": "mql"}) for i in range(3)))
        assert calls(mc, "/batches") == 0


def test_a_link_to_the_results_that_has_run_out_is_asked_for_anew() -> None:
    with account(world([person(i) for i in range(MANY)]), writes=True) as mc:
        waiting(mc)
        mc.emulator.faults.append(Fault("error", match="batch-results", times=1, status=403))
        assert all(r.ok for r in tagged(mc).values())  # type: ignore[attr-defined]
        assert calls(mc, "/batch-results/") == 2


def test_a_batch_that_never_ends_leaves_its_outcome_unknown() -> None:
    with account(world([person(i) for i in range(MANY)]), writes=True) as mc:
        waiting(mc)
        mc.emulator.batches.step_s = PATIENCE_S
        with pytest.raises(VendorUnavailable, match="unknown"):
            tagged(mc)
