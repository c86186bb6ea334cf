"""The world as VWO would show it: two tests of the web site with their visitors, older campaigns of all sorts, the change log."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from connectors.sandbox.world_model import Draft
from connectors.sandbox.world_names import DAY, HOME, HOUR, owners
from connectors.sandbox.world_web import COUNTED, TIMEZONE, TRIALS, Trial, Visitor

WORKSPACE = 781_204
FIRST = 41  # id of the first campaign
MONTHS = 21  # of heat maps that are kept: with the tests more campaigns than a page of the list holds
LEAD, CONTACT, SALE = 1, 2, 3
# Tests of planted cases: name, page, planned shares, visitors of each variation, and how many days ago the first and the last came.
ODD = {
    "X-01": (51, "Blog: sticky menu", "/blog/uptime", (0.5, 0.5), (200, 300), 70, 50),
    "X-01 as planned": (52, "Flow: long table", "/products/flow", (0.6, 0.4), (300, 200), 70, 50),
    "X-01 by chance": (53, "Vibration: video", "/products/vibration", (0.5, 0.5), (270, 230), 70, 50),
    "X-04": (54, "Contact: map", "/contact", (0.5, 0.5), (12, 11), 20, 2),
    "X-04 later": (55, "Pricing: currency", "/pricing", (0.5, 0.5), (12, 11), 12, 2),
}
COUNTED_IDS = {name: 56 + i for i, name in enumerate(COUNTED)}
_LEADS = {"id": 1, "name": "Generate lead", "type": "formSubmit", "isPrimary": True}  # called like the site's own event
GOALS = (
    {"id": LEAD, "name": "Asked for an offer", "type": "formSubmit", "isPrimary": True},
    {"id": CONTACT, "name": "Came to the contact page", "type": "visitPage", "isPrimary": False},
    {"id": SALE, "name": "Became a sale", "type": "revenue", "isPrimary": False},
)


def seed(draft: Draft) -> dict[str, Any]:
    """The VWO emulator's seed."""
    trials = [t for t in TRIALS if t.tool == "vwo"]
    tests = [_test(draft, FIRST + i, t) for i, t in enumerate(trials)]
    tests += [_test(draft, id, COUNTED[name].trial) | {"goals": [_LEADS]} for name, id in COUNTED_IDS.items() if name in draft.odd]
    tests += [_odd(draft.now, *one) for name, one in ODD.items() if name in draft.odd]
    others = [*_others(draft.now, FIRST + len(trials)), *_heat_maps(draft.now, FIRST + 20)]
    sale = [(c["id"], SALE) for c in tests]
    return {
        "workspace": {"id": WORKSPACE, "name": "Lumen & Loom", "createdOn": draft.now - 900 * DAY, "timezone": TIMEZONE, "enabled": True},
        "workspaces": [{"id": WORKSPACE + 9, "name": "Lumen & Loom shop", "createdOn": draft.now - 400 * DAY, "enabled": True}],
        "users": [_user(i) for i in range(3)],
        "labels": [{"id": 1, "name": "web"}, {"id": 2, "name": "conversion"}],
        "campaigns": [*tests, *others],
        "feeds": _feeds([*tests, *others], draft.now),
        "events": {"tundish_sale": sale, "tundish_sql": []},
    }


def _campaign(id: int, name: str, type_: str, status: str, created: int, **more: Any) -> dict[str, Any]:
    url = f"https://www.{HOME}{more.pop('page', '/')}"
    user = owners()[id % 3]
    return {
        "id": id,
        "name": name,
        "type": type_,
        "platform": "website",
        "status": status,
        "createdOn": created,
        "isDeleted": False,
        "createdBy": {"id": 501 + id % 3, "name": f"{user.first} {user.last}", "imageUrl": "//gravatar.example/a"},
        "primaryUrl": url,
        "urls": [{"type": "url", "value": url}],
        "labels": [],
        "variations": [],
        "goals": [],
        **more,
    }


def _variations(names: tuple[str, ...], shares: tuple[float, ...]) -> list[dict[str, Any]]:
    return [
        {"id": i + 1, "name": name, "isControl": i == 0, "isBase": i == 0, "isDisabled": False, "percentSplit": round(100 * share)}
        for i, (name, share) in enumerate(zip(names, shares, strict=True))
    ]


def _test(draft: Draft, id: int, trial: Trial) -> dict[str, Any]:
    numbers = {name: i + 1 for i, name in enumerate(trial.variants)}
    shown = [v for v in draft.web.visitors if trial.key in v.variants]
    ended = draft.now - (trial.ended or 0) * DAY
    status = "RUNNING" if trial.ended is None else "STOPPED"
    row = _campaign(
        id, trial.name, "ab", status, draft.now - (trial.began + 3) * DAY, page=trial.page, labels=[{"id": 2, "name": "conversion"}]
    )
    return row | {
        "variations": _variations(trial.variants, trial.shares),
        "goals": [dict(g) for g in GOALS],
        "seen": {v.vwo_id: (numbers[v.variants[trial.key][0]], v.variants[trial.key][1]) for v in shown},
        "reached": [(v.vwo_id, *hit) for v in shown for hit in _reached(v, v.variants[trial.key][1], ended)],
    }


def _odd(
    now: int, id: int, name: str, page: str, shares: tuple[float, ...], came: tuple[int, ...], first: int, last: int
) -> dict[str, Any]:
    """A stopped test; the visitors of each variation came one after the other, evenly from the first day to the last."""
    row = _campaign(id, name, "ab", "STOPPED", now - (first + 1) * DAY, page=page)
    seen = {
        f"D{id:08X}{variation:08X}{i:016X}": (variation, now - first * DAY + i * (first - last) * DAY // max(1, count - 1))
        for variation, count in enumerate(came, 1)
        for i in range(count)
    }
    return row | {"variations": _variations(("control", "new"), shares), "goals": [dict(g) for g in GOALS], "seen": seen}


def _reached(visitor: Visitor, seen: int, ended: int) -> Iterator[tuple[int, int, float]]:
    """(goal, when, revenue) of one visitor from the sight of the test to its end."""
    for visit in visitor.visits:
        if seen <= visit.at < ended and "/contact" in visit.pages:
            yield CONTACT, visit.at + 30, 0.0
        for event in visit.events:
            if event.name == "generate_lead" and seen <= event.at < ended:
                yield LEAD, event.at, 0.0


def _others(now: int, first: int) -> list[dict[str, Any]]:
    """A draft, a test thrown away, one put into the archive."""
    old = now - 300 * DAY
    pair = _variations(("Control", "Blue"), (0.5, 0.5))
    goals = [dict(GOALS[0])]
    return [
        _campaign(first, "Footer: phone number", "ab", "NOT_STARTED", now - 6 * DAY, variations=pair, goals=goals),
        _campaign(first + 1, "Button colour", "ab", "STOPPED", old, variations=pair, goals=goals, isDeleted=True),
        _campaign(first + 2, "Menu with icons", "split", "STOPPED", old, variations=pair, goals=goals, archived=True),
    ]


def _heat_maps(now: int, first: int) -> list[dict[str, Any]]:
    return [
        _campaign(first + i, f"Heat map {MONTHS - i} months ago", "heatmap", "STOPPED", now - (MONTHS - i) * 30 * DAY)
        for i in range(MONTHS)
    ]


def _user(i: int) -> dict[str, Any]:
    owner = owners()[i]
    return {"id": 501 + i, "name": f"{owner.first} {owner.last}", "email": owner.email, "permission": "Admin" if i == 0 else "Publish"} | {
        "account": WORKSPACE,
        "createdOn": 1_650_000_000 + i,
        "phone": "",
        "country": "",
    }


def _feeds(campaigns: list[dict[str, Any]], now: int) -> list[dict[str, Any]]:
    """Oldest first: each test was created and, if it ran, started; one line is about the workspace."""
    told = []
    for c in campaigns:
        if c["type"] == "heatmap":
            continue
        told.append((c["createdOn"], f"Campaign created with {len(c['variations'])} variations and {len(c['goals'])} goals", c))
        if c["status"] != "NOT_STARTED":
            told.append((c["createdOn"] + 3 * DAY, "Campaign <b>started</b>", c))
    told.sort(key=lambda entry: (entry[0], entry[2]["id"]))
    rows = [_feed(45_000_000 + i, *entry) for i, entry in enumerate(told, 1)]
    zone = {"id": 45_000_000, "type": "Account", "what": f"Timezone changed from GMT to {TIMEZONE}", "when": str(now - 890 * DAY + HOUR)}
    return [{**zone, "who": {"name": "Noor Calder"}}, *rows]


def _feed(id: int, at: int, what: str, campaign: dict[str, Any]) -> dict[str, Any]:
    about = {k: campaign[k] for k in ("id", "name", "platform", "type")}
    return {"id": id, "type": "campaign", "what": what, "when": str(at), "who": {"name": campaign["createdBy"]["name"]}, "campaign": about}
