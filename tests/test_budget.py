from __future__ import annotations

import threading
from bisect import bisect_left

import pytest
from scripted_vendor import Watch

from core.budget import Budget
from core.connector import Bucket
from core.errors import VendorUnavailable


def budget(*buckets: Bucket, **options: float) -> tuple[Budget, Watch]:
    watch = Watch()
    return Budget(buckets, account="acme", sleep=watch.sleep, monotonic=watch.monotonic, **options), watch


def spend(on: Budget, watch: Watch, path: str, calls: int, seconds: float = 0.0) -> list[float]:
    times = []
    for _ in range(calls):
        with on.acquire(path):
            times.append(watch.now)
            watch.now += seconds
    return times


def most_in(window_s: float, times: list[float]) -> int:
    return max(bisect_left(times, start + window_s) - place for place, start in enumerate(times))


@pytest.mark.parametrize("seconds", [0.0, 0.003, 0.04, 0.0526])
def test_reaches_99_percent_of_190_calls_in_10_seconds_and_never_more(seconds: float) -> None:
    spender, watch = budget(Bucket("general", 190, 10.0))
    times = spend(spender, watch, "/crm/v3/objects/contacts", 5000, seconds)
    assert most_in(10.0, times) <= 190
    whole_windows = [t for t in times if t < times[0] + 250.0]
    assert len(whole_windows) >= 0.99 * 190 * 25


def test_threads_together_stay_inside_the_window() -> None:
    clock = threading.Lock()
    watch = Watch()
    times: list[float] = []

    def sleep(seconds: float) -> None:
        with clock:
            watch.now += seconds / 8  # eight threads sleep at once

    shared = Budget((Bucket("general", 20, 1.0, concurrent=5),), sleep=sleep, monotonic=watch.monotonic)
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(50):
            with shared.acquire("/x"):
                with clock:
                    inside += 1
                    most = max(most, inside)
                    times.append(watch.now)
                with clock:
                    inside -= 1

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(times) == 400
    assert most <= 5
    # `times` is read just after the place was given; sleepers move the clock by a step meanwhile
    assert most_in(0.8, sorted(times)) <= 20 + 8


def test_a_call_waits_for_a_free_place_until_another_leaves() -> None:
    shared = Budget((Bucket("all", 100, 10, concurrent=1),))
    held, order = threading.Event(), []

    def second() -> None:
        held.set()
        with shared.acquire("/x"):
            order.append("second")

    with shared.acquire("/x"):
        thread = threading.Thread(target=second)
        thread.start()
        held.wait(5)
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]


def test_a_call_spends_from_every_bucket_that_fits_and_from_no_other() -> None:
    search = Bucket("search", 5, 1.0, match="/search$")
    general = Bucket("general", 100, 10.0, exclude="/search$")
    spender, watch = budget(search, general)
    spend(spender, watch, "/crm/v3/objects/contacts/search", 5)
    spend(spender, watch, "/crm/v3/objects/contacts", 100)
    assert watch.slept == []
    spend(spender, watch, "/crm/v3/objects/deals/search", 1)
    assert watch.slept == [pytest.approx(1.005)]


def test_ids_in_paths_share_a_shape() -> None:
    spender, watch = budget(Bucket("members", 10_000, 10.0, match="/members"))
    spend(spender, watch, "/lists/a1/members/joe@example.com", 1)
    for number in range(3000):
        spend(spender, watch, f"/crm/v3/objects/contacts/{10_000 + number}", 1)
    assert len(spender._by_shape) == 2


def test_a_pause_holds_the_whole_bucket_and_no_other() -> None:
    spender, watch = budget(Bucket("search", 5, 1.0, match="/search$"), Bucket("general", 100, 10.0, exclude="/search$"))
    spender.pause("/contacts/search", 7.0)
    spend(spender, watch, "/contacts", 1)
    assert watch.slept == []
    spend(spender, watch, "/deals/search", 1)
    assert watch.slept == [pytest.approx(7.0)]


def test_below_the_reserve_every_call_stops_until_the_vendor_says_otherwise() -> None:
    spender, watch = budget(Bucket("daily", 1000, 86_400.0, reserve_share=0.2))
    spender.note_remaining("daily", 201, 1000)
    spend(spender, watch, "/x", 1)
    spender.note_remaining("daily", 200, 1000)
    with pytest.raises(VendorUnavailable, match="allowance reserve reached: 200 of 1000 calls of 'daily' are left, 20% of it is kept"):
        spend(spender, watch, "/x", 1)
    watch.now += 901
    spend(spender, watch, "/x", 1)
    spender.note_remaining("daily", 999, 1000)
    spend(spender, watch, "/x", 1)
    assert watch.slept == []


def test_an_allowance_is_not_waited_out() -> None:
    spender, watch = budget(Bucket("daily", 10, 86_400.0))
    spend(spender, watch, "/x", 10)
    with pytest.raises(VendorUnavailable, match="used up"):
        spend(spender, watch, "/x", 1)
    assert watch.slept == []


def test_an_exhausted_allowance_stops_every_caller_but_leaves_short_buckets_alone() -> None:
    spender, watch = budget(Bucket("daily", 1000, 86_400.0, exclude="^/free"), Bucket("general", 100, 10.0))
    spender.exhaust("/x", "the day's calls are used up")
    with pytest.raises(VendorUnavailable, match="the day's calls are used up") as raised:
        spend(spender, watch, "/y", 1)
    assert raised.value.where == "acme"
    assert raised.value.next_step
    spend(spender, watch, "/free", 1)


def test_calls_of_other_tools_in_a_short_window_count_as_ours() -> None:
    spender, watch = budget(Bucket("general", 100, 10.0))
    spend(spender, watch, "/x", 10)
    spender.note_remaining("general", 40, 100)  # 60 used, 10 by us
    spend(spender, watch, "/x", 40)
    assert watch.slept == []
    spend(spender, watch, "/x", 1)
    assert watch.slept == [pytest.approx(10.05)]


def test_a_vendors_count_that_is_only_late_changes_nothing() -> None:
    spender, watch = budget(Bucket("general", 100, 10.0))
    spend(spender, watch, "/x", 10)
    spender.note_remaining("general", 85, 100)
    spend(spender, watch, "/x", 90)
    assert watch.slept == []


def test_the_vendors_limit_replaces_the_documented_one() -> None:
    spender, watch = budget(Bucket("general", 190, 10.0))
    spender.note_remaining("general", 100, 100)
    spend(spender, watch, "/x", 101)
    assert len(watch.slept) == 1


def test_a_reserve_of_a_short_window_is_left_unused() -> None:
    spender, watch = budget(Bucket("general", 100, 10.0, reserve_share=0.25))
    times = spend(spender, watch, "/x", 300)
    assert most_in(10.0, times) == 75


def test_a_day_of_calls_takes_little_memory() -> None:
    spender, watch = budget(Bucket("daily", 1_000_000, 86_400.0))
    spend(spender, watch, "/x", 20_000, 1.0)
    (gauge,) = spender._gauges
    assert gauge.used == 20_000
    assert len(gauge.log) <= 400


def test_methods_after_a_colon_have_buckets_of_their_own() -> None:
    budget = Budget([Bucket("reports", 10, 60.0, match=r":runReport$", concurrent=1)])
    with budget.acquire("/v1beta/properties/314159265:checkCompatibility"):
        assert [g.bucket.name for g in budget._fitting("/v1beta/properties/314159265:runReport")] == ["reports"]
