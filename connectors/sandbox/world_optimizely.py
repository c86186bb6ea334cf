"""The world as Optimizely would show it: a web project with the site's experiments, and a Feature Experimentation project.

Ids are larger than a double holds exactly, as the vendor's may be: whoever reads them as floats gets other ids.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from connectors.sandbox.world_model import Draft
from connectors.sandbox.world_names import DAY, HOUR, iso
from connectors.sandbox.world_web import TRIALS, Trial

ACCOUNT = 21_345_678_901
WEB, FLAGS = 20_410_000_123, 20_410_000_987
PRODUCTION, DEVELOPMENT = 20_511_000_001, 20_511_000_002
FIRST_EXPERIMENT = 9_300_000_000_000_001  # odd and above 2**53
FLAG_EXPERIMENT, FLAG_LAYER = 9_300_000_000_500_001, 9_300_000_000_500_003
EVENTS = {"generate_lead": 22_600_000_001, "form_start": 22_600_000_002, "deal_won": 22_600_000_003}
PAGES = {"/": 22_700_000_001, "/pricing": 22_700_000_002, "/contact": 22_700_000_003, "/cases/bottling": 22_700_000_004}
DOSED = 22_600_000_101  # event of the flags project
USERS = 400  # of the customer portal, at most


def seed(draft: Draft) -> dict[str, Any]:
    """The Optimizely emulator's seed. `decisions` are [visitor, experiment, variation, ms]; `conversions` [visitor, event, ms, cents]."""
    trials = [t for t in TRIALS if t.tool == "optimizely"]
    experiments = [_experiment(draft.now, i, t) for i, t in enumerate(trials)]
    return {
        "account": {"id": ACCOUNT, "name": "Lumen & Loom"},
        "projects": [_project(draft.now, WEB, "lumen-loom.example", "web"), _project(draft.now, FLAGS, "Customer portal", "custom")],
        "experiments": experiments + _others(draft.now, len(trials)),
        "campaigns": [_campaign(draft.now)],
        "events": [*_events(draft.now)],
        "pages": [_page(draft.now, path, n) for path, n in PAGES.items()],
        "audiences": [_audience(draft.now, 22_800_000_001, "Returning visitors"), _audience(draft.now, 22_800_000_002, "From the fair")],
        "environments": [_environment(PRODUCTION, "production", 1), _environment(DEVELOPMENT, "development", 2)],
        "flags": [_flag(draft.now, 501_001, "smart_dosing", "Smart dosing"), _flag(draft.now, 501_002, "dark_mode", "Dark mode")],
        "rules": [_test(draft.now), *(_delivery(draft.now, i, key) for i, key in enumerate(("production", "development")))],
        "reports": [_report(draft.now)],
        "decisions": [*_decisions(draft, experiments, trials), *_flag_decisions(draft), *map(price_decision, draft.shown)],
        "conversions": [*_conversions(draft), *_flag_conversions(draft)],
    }


# -- the web project ----------------------------------------------------------------------------------------------------
def _project(now: int, id: int, name: str, platform: str) -> dict[str, Any]:
    flags = platform == "custom"
    return {
        "id": id, "account_id": ACCOUNT, "name": name, "platform": platform, "status": "active", "is_classic": False,
        "is_flags_enabled": flags, "confidence_threshold": 0.9, "description": "", "created": iso(now - 700 * DAY),
        "last_modified": iso(now - 50 * DAY),
    }  # fmt: skip


def _metric(event: int | None, aggregator: str, **more: Any) -> dict[str, Any]:
    named = {"event_id": event} if event else {}
    return named | {"aggregator": aggregator, "scope": "visitor", "winning_direction": "increasing"} | more


def _variation(id: int, name: str, weight: int) -> dict[str, Any]:
    return {"variation_id": id, "name": name, "weight": weight, "status": "active", "archived": False, "actions": []}


def _experiment(now: int, number: int, trial: Trial) -> dict[str, Any]:
    first = FIRST_EXPERIMENT + 100 * number
    began, ended = now - trial.began * DAY, None if trial.ended is None else now - trial.ended * DAY
    shares = zip(trial.variants, trial.shares, strict=True)
    made = _bare(now, first, trial.name, "concluded" if ended else "running", began)
    made["variations"] = [_variation(first + 2 + 2 * i, name, round(share * 10_000)) for i, (name, share) in enumerate(shares)]
    made["page_ids"] = [PAGES[trial.page]]
    return made | ({"latest": iso(ended), "last_modified": iso(ended)} if ended else {})


def _bare(now: int, id: int, name: str, status: str, began: int | None, kind: str = "a/b") -> dict[str, Any]:
    """The first metric is the primary one."""
    metrics = [
        _metric(EVENTS["generate_lead"], "unique"),
        _metric(EVENTS["form_start"], "unique"),
        _metric(EVENTS["deal_won"], "unique"),
        _metric(None, "sum", field="revenue"),
    ]
    at = began if began is not None else now - 5 * DAY
    return {
        "id": id, "project_id": WEB, "campaign_id": id + 50, "name": name, "description": "", "type": kind, "status": status,
        "variations": [_variation(id + 2, "original", 5_000), _variation(id + 4, "new", 5_000)], "metrics": metrics,
        "audience_conditions": "everyone", "traffic_allocation": 10_000, "holdback": 0, "is_classic": False,
        "created": iso(at - 2 * DAY), "last_modified": iso(at),
    } | ({"earliest": iso(began)} if began is not None else {})  # fmt: skip


def _others(now: int, n: int) -> list[dict[str, Any]]:
    """What is not started, what nobody has seen yet, what is archived (and only listed when asked for), and an experience."""
    ids = iter(range(FIRST_EXPERIMENT + 100 * n, FIRST_EXPERIMENT + 100 * (n + 9), 100))
    waiting = _bare(now, next(ids), "Footer: phone number", "not_started", None)
    fresh = _bare(now, next(ids), "Cases: video", "running", now - 2 * HOUR)
    old = _bare(now, next(ids), "Cookie banner wording", "archived", now - 320 * DAY)
    experience = _bare(now, next(ids), "Welcome back", "campaign_paused", now - 60 * DAY, "personalization")
    old["latest"] = iso(now - 290 * DAY)
    return [waiting, fresh, old, experience | {"campaign_id": 22_900_000_001, "latest": iso(now - 55 * DAY)}]


def price_decision(shown: tuple[str, int, int]) -> list[Any]:
    """A decision of the first experiment, the one with the yearly price."""
    visitor, variant, at = shown
    return [visitor, FIRST_EXPERIMENT, FIRST_EXPERIMENT + 2 + 2 * variant, at * 1000]


def _campaign(now: int) -> dict[str, Any]:
    return {
        "id": 22_900_000_001, "project_id": WEB, "name": "Returning visitors", "type": "personalization", "status": "paused",
        "holdback": 500, "archived": False, "created": iso(now - 62 * DAY), "last_modified": iso(now - 55 * DAY),
        "earliest": iso(now - 60 * DAY), "latest": iso(now - 55 * DAY), "page_ids": [PAGES["/"]], "metrics": [],
    }  # fmt: skip


def _events(now: int) -> Iterator[dict[str, Any]]:
    base = {"archived": False, "is_classic": False, "created": iso(now - 400 * DAY), "last_modified": iso(now - 400 * DAY)}
    for key, id in EVENTS.items():
        yield base | {"id": id, "project_id": WEB, "key": key, "name": key.replace("_", " ").capitalize(), "event_type": "custom"}
    for path, id in PAGES.items():
        named = {"key": _key(path), "name": path, "event_type": "pageview", "page_id": id}
        yield base | {"id": id + 1_000, "project_id": WEB} | named
    yield base | {"id": DOSED, "project_id": FLAGS, "key": "dosed", "name": "Dosed", "event_type": "custom"}


def _key(path: str) -> str:
    return "page" + (path.replace("/", "_").rstrip("_") or "_home")


def _page(now: int, path: str, id: int) -> dict[str, Any]:
    return {
        "id": id, "project_id": WEB, "name": path, "key": _key(path), "edit_url": f"https://www.lumen-loom.example{path}",
        "page_type": "single_url", "category": "other", "archived": False, "created": iso(now - 400 * DAY),
        "last_modified": iso(now - 400 * DAY),
    }  # fmt: skip


def _audience(now: int, id: int, name: str) -> dict[str, Any]:
    return {
        "id": id, "project_id": WEB, "name": name, "description": "", "conditions": '["and", {"type": "visitor_id"}]', "archived": False,
        "is_classic": False, "segmentation": False, "created": iso(now - 300 * DAY), "last_modified": iso(now - 300 * DAY),
    }  # fmt: skip


def _decisions(draft: Draft, experiments: list[dict[str, Any]], trials: list[Trial]) -> Iterator[list[Any]]:
    ids = {t.key: (e["id"], {v["name"]: v["variation_id"] for v in e["variations"]}) for t, e in zip(trials, experiments, strict=True)}
    for visitor in draft.web.visitors:
        for key, (variant, at) in visitor.variants.items():
            if key in ids:
                yield [visitor.optimizely_id, ids[key][0], ids[key][1][variant], at * 1000]


def _conversions(draft: Draft) -> Iterator[list[Any]]:
    for visitor in draft.web.visitors:
        for visit in visitor.visits:
            for event in visit.events:
                if event.name in EVENTS:
                    yield [visitor.optimizely_id, EVENTS[event.name], event.at * 1000, event.cents]


# -- the flags project ----------------------------------------------------------------------------------------------------
def _environment(id: int, key: str, priority: int) -> dict[str, Any]:
    named = {"key": key, "name": key.capitalize(), "priority": priority}
    return {"id": id, "project_id": FLAGS, "account_id": ACCOUNT, "archived": False} | named


def _flag(now: int, id: int, key: str, name: str) -> dict[str, Any]:
    return {
        "id": id, "project_id": FLAGS, "account_id": ACCOUNT, "key": key, "name": name, "description": "", "archived": False,
        "urn": f"flags.flags.optimizely.com::{id}", "created_time": iso(now - 120 * DAY), "updated_time": iso(now - 40 * DAY),
    }  # fmt: skip


def _test(now: int) -> dict[str, Any]:
    kept = {"original": (FLAG_EXPERIMENT + 10, 5_000), "doses": (FLAG_EXPERIMENT + 12, 5_000)}
    variations = {k: {"key": k, "name": k.capitalize(), "variation_id": id, "percentage_included": n} for k, (id, n) in kept.items()}
    return _rule(now, 601_001, "smart_dosing_test", "Smart dosing test", "smart_dosing", "production") | {
        "type": "a/b", "status": "running", "layer_experiment_id": FLAG_EXPERIMENT, "layer_id": FLAG_LAYER, "variations": variations,
        "baseline_variation_id": FLAG_EXPERIMENT + 10, "distribution_mode": "manual", "metrics": [_metric(DOSED, "unique")],
    }  # fmt: skip


def _delivery(now: int, number: int, environment: str) -> dict[str, Any]:
    on = {"on": {"key": "on", "name": "On", "variation_id": FLAG_EXPERIMENT + 30, "percentage_included": 10_000}}
    rule = _rule(now, 601_101 + number, f"dark_mode_{environment}", "Dark mode for all", "dark_mode", environment)
    return rule | {"type": "targeted_delivery", "status": "running", "variations": on}


def _rule(now: int, id: int, key: str, name: str, flag: str, environment: str) -> dict[str, Any]:
    return {
        "id": id, "project_id": FLAGS, "key": key, "name": name, "flag_key": flag, "environment_key": environment, "enabled": True,
        "archived": False, "percentage_included": 10_000, "urn": f"rules.flags.optimizely.com::{id}",
        "created_time": iso(now - 41 * DAY), "updated_time": iso(now - 40 * DAY),
    }  # fmt: skip


def _report(now: int) -> dict[str, Any]:
    return {
        "id": 701_001, "project_id": FLAGS, "environment_key": "production", "key": "smart_dosing_test-701001", "name": "Smart dosing test",
        "flag_key": "smart_dosing", "rule_key": "smart_dosing_test", "type": "a/b", "archived": False, "rule_state": "running",
        "layer_experiment_id": FLAG_EXPERIMENT, "primary_metric": "dosed", "urn": "reports.flags.optimizely.com::701001",
        "start_time": iso(now - 40 * DAY), "created_time": iso(now - 40 * DAY), "updated_time": iso(now - 40 * DAY),
    }  # fmt: skip


def _users(draft: Draft) -> Iterator[tuple[int, str]]:
    """Portal users are people of customers; the portal knows them by a number of its own."""
    customers = [p for p in draft.people if p.rung >= "M80" and p.rung != "MX"][:USERS]
    return ((i, f"portal-{p.number + 1}") for i, p in enumerate(customers))


def _flag_decisions(draft: Draft) -> Iterator[list[Any]]:
    for i, user in _users(draft):
        yield [user, FLAG_EXPERIMENT, FLAG_EXPERIMENT + 10 + 2 * (i % 2), (draft.now - (38 - i % 30) * DAY) * 1000]


def _flag_conversions(draft: Draft) -> Iterator[list[Any]]:
    for i, user in _users(draft):
        if i % 3 == 0:
            yield [user, DOSED, (draft.now - (38 - i % 30) * DAY + HOUR) * 1000, None]
