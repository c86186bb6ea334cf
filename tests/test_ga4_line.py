"""GA4 through the whole hub: restated days are replaced, nothing counts twice, and what changed can be asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from ga4_property import values
from sandbox_hub import Standing, contents, tundish, versions

from jobs.steps import run_sync

Stand = Callable[..., Standing]
LIVE = "SELECT day, measure, sum(value) AS n FROM tally WHERE resource = '{}' AND NOT deleted GROUP BY ALL"


def live(sandbox: Standing, resource: str) -> dict[tuple[str, str], float]:
    return {(str(r["day"]), r["measure"]): r["n"] for r in sandbox.hub.lake.sql(LIVE.format(resource)).to_pylist()}


def fresh(sandbox: Standing, dimensions: list[str], metrics: list[str]) -> dict[tuple[str, str], float]:
    """The same, as the vendor would report it now."""
    emulator: Any = sandbox.emulators["ga4"]
    body = {
        "dimensions": [{"name": n} for n in ("date", *dimensions)],
        "metrics": [{"name": n} for n in metrics],
        "dateRanges": [{"startDate": "2025-05-26", "endDate": "yesterday"}],
        "limit": 250_000,
    }
    found: dict[tuple[str, str], float] = {}
    for row in values(emulator.reports.run(body)):
        for name, number in zip(metrics, row[1 + len(dimensions) :], strict=True):
            key = (f"{row[0][:4]}-{row[0][4:6]}-{row[0][6:]}", name)
            found[key] = found.get(key, 0) + float(number)
    return found


TRAFFIC = (
    ["sessionDefaultChannelGroup", "sessionSource", "sessionMedium", "sessionCampaignName"],
    ["sessions", "engagedSessions", "keyEvents"],
)


def test_three_restated_days_are_replaced_and_can_be_asked_for(stand: Stand) -> None:
    sandbox = stand(vendors=["ga4"], size=40)
    assert run_sync(sandbox.hub, quiet=True).status == "done"
    emulator: Any = sandbox.emulators["ga4"]
    known, all_before = live(sandbox, "traffic"), versions(sandbox.hub)
    assert known == fresh(sandbox, *TRAFFIC)
    dropped = emulator.restate([2, 3, 4])
    assert any(dropped.values())
    restated = fresh(sandbox, *TRAFFIC)
    result = run_sync(sandbox.hub, quiet=True)
    assert result.status == "done"
    assert live(sandbox, "traffic") == restated != known
    assert live(sandbox, "visitors") == fresh(sandbox, [], ["totalUsers", "activeUsers", "newUsers"])
    assert {day for (day, _), n in restated.items() if known.get((day, _)) != n} <= {"2026-06-26", "2026-06-27", "2026-06-28"}
    assert versions(sandbox.hub) == all_before + sum(c.appended for c in result.counts)  # the old values are still there
    said = json.loads(tundish("--config", sandbox.config, "report", "restatements", "--json").out)["restatements"]
    changes = [r for r in said if r["report"] == "traffic"]
    assert {"2026-06-26", "2026-06-27", "2026-06-28"} >= {r["day"] for r in changes}
    vanished, appeared = [r for r in changes if r["new"] is None], [r for r in changes if r["old"] is None]
    assert all("restated.example" in r["dimensions"] for r in appeared)
    assert (len(appeared) > 0, len(vanished) > 0) == (True, True)
    moved = sum((r["new"] or 0) - (r["old"] or 0) for r in changes)
    assert moved == sum(restated.values()) - sum(known.values())
    quality = json.loads(tundish("--config", sandbox.config, "report", "quality", "--json").out)["quality"]
    [mark] = [m for m in quality if (m["report"], m["mark"]) == ("traffic", "restated")]
    assert (mark["values"], mark["first_day"]) == (len(changes), min(r["day"] for r in changes))
    assert mark["of"] > mark["values"]


def test_nothing_is_restated_after_one_read(stand: Stand) -> None:
    sandbox = stand(vendors=["ga4"])
    run_sync(sandbox.hub, quiet=True)
    said = tundish("--config", sandbox.config, "report", "restatements")
    assert (said.code, said.out.strip()) == (0, "no count was changed after it was first read")


def test_a_report_built_on_sampled_days_says_so(stand: Stand) -> None:
    sandbox = stand(vendors=["ga4"])
    assert run_sync(sandbox.hub, quiet=True).status == "done"

    def marks() -> set[tuple[str, str]]:
        said = json.loads(tundish("--config", sandbox.config, "report", "quality", "--json").out)["quality"]
        assert all(0 < m["values"] <= m["of"] and m["first_day"] <= m["last_day"] for m in said)
        return {(m["report"], m["mark"]) for m in said}

    assert marks() == set()
    emulator: Any = sandbox.emulators["ga4"]
    emulator.knob("sampling", 0.25)
    assert run_sync(sandbox.hub, quiet=True).status == "done"
    assert ("traffic", "sampled") in marks()
    emulator.knob("threshold", 2)
    assert run_sync(sandbox.hub, quiet=True).status == "done"
    assert "thresholded" in {mark for _, mark in marks()}
    shown = tundish("--config", sandbox.config, "report").out
    assert "estimated from a sample (250000 of 1000000)" in shown
    assert "rows of few users are withheld" in shown


def test_a_week_of_nights_ends_with_what_one_read_at_its_end_would_bring(stand: Stand) -> None:
    sandbox = stand(vendors=["ga4"])
    for _ in range(7):
        assert run_sync(sandbox.hub, quiet=True).status == "done"
        sandbox.clock.advance(86_400)
    assert run_sync(sandbox.hub, quiet=True).status == "done"
    assert live(sandbox, "traffic") == fresh(sandbox, *TRAFFIC)
    assert live(sandbox, "events") == fresh(sandbox, ["eventName"], ["eventCount", "eventValue"])
    known = {key: value for key, value in contents(sandbox.hub).items() if not value[1]}
    assert run_sync(sandbox.hub, full=True, quiet=True).status == "done"
    assert {key: value for key, value in contents(sandbox.hub).items() if not value[1]} == known


def test_targets_whose_settings_are_not_given_are_left_out(stand: Stand) -> None:
    sandbox = stand(vendors=["ga4"])
    with sandbox.hub.hands() as hands:
        assert set(hands["ga4"].targets) == {"collect"}
