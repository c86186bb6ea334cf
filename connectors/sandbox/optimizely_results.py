"""Results of experiments as the emulated Optimizely counts them: over whole five minutes, cumulative, computed when asked.

Counts are exact. Significance and lift are a plain two-proportion test: the vendor's Stats Engine is not public, so
nothing may depend on those digits.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from connectors.sandbox.kit import Reply, Request
from connectors.sandbox.optimizely_store import Done, Seen, Store, _seconds
from connectors.sandbox.optimizely_wire import WINDOW_S, Refusal, Row, bad, gone, moment, stamp, whole

UNKNOWN = 2**63 - 1  # of visitors_remaining
DAY = 86_400
SEGMENTS = ("browser", "device", "source", "attribute_id", "segment_conditions")


@dataclass
class Arm:
    """One variation: when its visitors came (ms, ascending), and per metric when how much was added."""

    id: int
    name: str
    came: list[int] = field(default_factory=list)
    added: list[list[tuple[int, int]]] = field(default_factory=list)

    def upto(self, end: int) -> tuple[int, list[int]]:
        """Visitors, and the value of each metric, before `end`."""
        values = []
        for steps in self.added:
            n = bisect_left(steps, (end,))
            values.append(sum(amount for _, amount in steps[:n]))
        return bisect_left(self.came, end), values


class Results:
    """`computing_s`: how long a question takes to compute (nobody documents it). `stale`: experiments served from an old cache."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.computing_s: dict[int, float] = {}  # experiment (0: all) → seconds
        self.stale: set[int] = set()
        self._asked: dict[tuple[Any, ...], float] = {}

    # https://docs.developers.optimizely.com/web-experimentation/reference/get_experiment_results
    def results(self, request: Request) -> Reply:
        return self._answer(request, self._results)

    # https://docs.developers.optimizely.com/web-experimentation/reference/get_experiment_timeseries
    def timeseries(self, request: Request) -> Reply:
        return self._answer(request, self._timeseries)

    def _answer(self, request: Request, made: Any) -> Reply:
        experiment = self._experiment(whole(request.params["id"], "experiment_id"))
        _check_segments(request)
        start, end = self._window(request, experiment)
        if start is None or not any(s.experiment == experiment["id"] and s.at < end * 1000 for s in self._decisions(experiment["id"])):
            return Reply(b"", 204)  # no data yet
        if self._computing(request.path, experiment["id"], start, end):
            return Reply(b"", 202)
        baseline = self._baseline(request, experiment)
        stale = experiment["id"] in self.stale
        end = max(start + WINDOW_S, end - 3600) if stale else end
        head = {
            "experiment_id": experiment["id"], "start_time": stamp(start), "end_time": stamp(end), "confidence_threshold": 0.9,
            "is_stale": stale, "stats_config": {"confidence_level": 0.9, "difference_type": "relative", "epoch_enabled": False},
        }  # fmt: skip
        return Reply(head | made(experiment, self._arms(experiment, start), start, end, baseline))

    # -- what is asked ------------------------------------------------------------------------------------------------------
    def _experiment(self, id: int) -> Row:
        """A web experiment, or the one behind a rule of a flag."""
        if id in self.store.kinds["experiments"]:
            return self.store.kinds["experiments"][id]
        for rule in self.store.kinds["rules"].values():
            if rule.get("layer_experiment_id") == id:
                report = next((r for r in self.store.kinds["reports"].values() if r["layer_experiment_id"] == id), rule)
                variations = list(rule["variations"].values())
                began = report.get("start_time", rule["created_time"])
                return {**rule, "id": id, "variations": variations, "earliest": began}
        raise gone()

    def _window(self, request: Request, experiment: Row) -> tuple[float | None, float]:
        """The start rounded up and the end rounded down to five minutes; the end is outside. By default from first to last activity."""
        start, end = moment(request, "start_time"), moment(request, "end_time")
        now = self.store.now()
        if start is None and "earliest" in experiment:
            start = _seconds(experiment["earliest"])
        if end is None:
            end = _seconds(experiment["latest"]) if "latest" in experiment else now
        end = math.floor(min(end, now) / WINDOW_S) * WINDOW_S
        if start is None:
            return None, end
        start = math.ceil(start / WINDOW_S) * WINDOW_S
        if start >= end:
            raise bad("start_time must be before end_time")
        return start, end

    def _computing(self, path: str, experiment: int, start: float, end: float) -> bool:
        took = self.computing_s.get(experiment, self.computing_s.get(0, 0.0))
        began = self._asked.setdefault((path, start, end), self.store.now())
        return self.store.now() - began < took

    def _baseline(self, request: Request, experiment: Row) -> int:
        ids = [v["variation_id"] for v in experiment["variations"]]
        asked = whole(request.q("baseline_variation_id"), "baseline_variation_id", ids[0])
        if asked not in ids:
            raise bad("baseline_variation_id is not a variation of this experiment")
        return asked

    # -- counting -------------------------------------------------------------------------------------------------------------
    def _decisions(self, experiment: int) -> Iterator[Seen]:
        for visitor in self.store.shown_in[experiment]:
            yield from (s for s in self.store.seen[visitor] if s.experiment == experiment)

    def _arms(self, experiment: Row, start: float) -> list[Arm]:
        """A visitor who was reassigned counts where he was first: which of the two it is, nobody documents."""
        arms = {v["variation_id"]: Arm(v["variation_id"], v.get("name") or v["key"], [], []) for v in experiment["variations"]}
        metrics = experiment["metrics"]
        for arm in arms.values():
            arm.added = [[] for _ in metrics]
        first = int(start * 1000)
        for visitor in self.store.shown_in[experiment["id"]]:
            for seen in [s for s in self.store.seen[visitor] if s.experiment == experiment["id"]][:1]:
                if seen.holdback or seen.variation not in arms:
                    continue
                arm = arms[seen.variation]
                if seen.at >= first:
                    arm.came.append(seen.at)
                events = sorted((d for d in self.store.done[visitor] if _counts(d, seen, first)), key=lambda d: d.at)
                for steps, metric in zip(arm.added, metrics, strict=True):
                    steps += _steps(metric, events)
        for arm in arms.values():
            arm.came.sort()
            for steps in arm.added:
                steps.sort()
        return list(arms.values())

    # -- bodies -----------------------------------------------------------------------------------------------------------
    def _results(self, experiment: Row, arms: list[Arm], start: float, end: float, baseline: int) -> Row:
        counted = {arm.id: arm.upto(int(end * 1000)) for arm in arms}
        total = sum(n for n, _ in counted.values())
        base = counted[baseline][0]
        reach = {
            str(arm.id): {
                "variation_id": str(arm.id), "name": arm.name, "count": counted[arm.id][0],
                "variation_reach": counted[arm.id][0] / total if total else 0.0,
            }
            for arm in arms
        }  # fmt: skip
        metrics = []
        for i, metric in enumerate(experiment["metrics"]):
            results = {
                str(arm.id): self._variant(arm, counted[arm.id][1][i], counted[arm.id][0], baseline, counted[baseline], i) for arm in arms
            }
            metrics.append(self._named(metric) | {"conclusion": {}, "results": results})
        totals = {"baseline_count": base, "treatment_count": total - base, "total_count": total}
        shares = {"baseline_reach": base / total if total else 0.0, "treatment_reach": (total - base) / total if total else 0.0}
        return {"reach": totals | shares | {"variations": reach}, "metrics": metrics}

    def _variant(self, arm: Arm, value: int, samples: int, baseline: int, base: tuple[int, list[int]], i: int) -> Row:
        """Keys of the map and `variation_id` in it are texts, although ids are integers everywhere else."""
        rate = value / samples if samples else 0.0
        row: Row = {"variation_id": str(arm.id), "name": arm.name, "level": "variation", "is_baseline": arm.id == baseline}
        row |= {"value": value, "samples": samples, "rate": rate, "variance": max(0.0, rate * (1 - rate))}
        if arm.id != baseline:
            row["lift"] = _lift(rate, samples, base[1][i] / base[0] if base[0] else 0.0, base[0])
        return row

    def _timeseries(self, experiment: Row, arms: list[Arm], start: float, end: float, baseline: int) -> Row:
        """A point at the end of each day and one at the end of the window; each counts from the start."""
        days = [*range(int(start // DAY + 1) * DAY, int(end), DAY), int(end)]
        metrics = []
        for i, metric in enumerate(experiment["metrics"]):
            results = {}
            for arm in arms:
                sums = [0, *accumulate(amount for _, amount in arm.added[i])]
                points = []
                for day in days:
                    n, value = bisect_left(arm.came, day * 1000), sums[bisect_left(arm.added[i], (day * 1000,))]
                    points.append({"time": stamp(day - 1), "value": value, "samples": n, "rate": value / n if n else 0.0})
                head = {"variation_id": str(arm.id), "name": arm.name, "level": "variation", "is_baseline": arm.id == baseline}
                results[str(arm.id)] = head | {"timeseries": points}
            metrics.append(self._named(metric) | {"results": results})
        return {"metrics": metrics}

    def _named(self, metric: Mapping[str, Any]) -> Row:
        event = self.store.kinds["events"].get(metric.get("event_id", 0), {})
        return {**metric, "name": event.get("name", "Overall revenue")}


def _check_segments(request: Request) -> None:
    """Segments exclude each other; an attribute needs its value."""
    given = [name for name in SEGMENTS if request.q(name) is not None]
    if len(given) > 1:
        raise bad("segmentation parameters cannot be combined: " + ", ".join(given))
    if (request.q("attribute_id") is None) != (request.q("attribute_value") is None):
        raise bad("attribute_id and attribute_value go together")
    if given:
        raise Refusal(400, "bad_request", "the sandbox knows nothing about segments")


def _counts(done: Done, seen: Seen, first: int) -> bool:
    """An event counts for an experiment seen before it: the one it names, or any earlier one of the visitor when looked up."""
    named = done.own is None or any(own.experiment == seen.experiment for own in done.own)
    return named and done.at >= max(seen.at, first)


def _steps(metric: Mapping[str, Any], events: list[Done]) -> list[tuple[int, int]]:
    mine = [d for d in events if metric.get("event_id") in (None, d.event)]
    if metric["aggregator"] == "unique":
        return [(d.at, 1) for d in mine[:1]]
    if metric["aggregator"] == "sum":
        kept = [(d.at, d.cents if metric.get("field") == "revenue" else d.value) for d in mine]
        return [(at, amount) for at, amount in kept if amount is not None]  # type: ignore[misc]
    return [(d.at, 1) for d in mine]


def _lift(rate: float, n: int, base: float, base_n: int) -> Row:
    spread = math.sqrt(max(rate * (1 - rate), 0.0) / max(n, 1) + max(base * (1 - base), 0.0) / max(base_n, 1))
    z = (rate - base) / spread if spread else 0.0
    significance = math.erf(abs(z) / math.sqrt(2))
    lift = (rate - base) / base if base else 0.0
    half = 1.645 * spread / base if base else 0.0
    return {
        "value": lift,
        "confidence_interval": [lift - half, lift + half],
        "significance": significance,
        "is_significant": significance >= 0.9,
        "is_most_conclusive": False,
        "lift_status": "better" if lift > 0 else "worse" if lift < 0 else "equal",
        "visitors_remaining": 0 if significance >= 0.9 else UNKNOWN,
    }
