"""Reading Optimizely's entities: lists as they come, experiments by the change feed, who was shown what by visitor.

Lists are bare arrays without a total and without a modified-since filter; the change feed is the only sign of a change.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from hashlib import blake2b
from urllib.parse import quote

import orjson

from connectors.optimizely_session import PER_PAGE, Row, Session, items_of, linked_pages, pages, rows_of
from core.connector import Ask, Page, State

OVERLAP_S = 600.0  # nobody says when a change appears in the feed, and their clock is not ours
VISITORS_PER_RUN = 6_000  # one request each: twenty minutes of asking
REREAD_HOURS = 20  # visitors who were asked about are asked about again after this long
_HEAVY = ("actions", "changes")  # code of the variations: the larger part of a body, and nobody's metric
Reader = Callable[[Session, Ask], Iterator[Page]]


# -- lists --------------------------------------------------------------------------------------------------------------
def projects(session: Session, ask: Ask) -> Iterator[Page]:
    for body in pages(session, "/v2/projects"):
        yield Page(body, "", {"v": 1}, present=True)


def listing(kind: str) -> Reader:
    """A list of every web project, read whole. In Feature Experimentation projects these are empty."""

    def read(session: Session, ask: Ask) -> Iterator[Page]:
        for project in session.projects(flags=False):
            for body in pages(session, f"/v2/{kind}", project_id=project["id"]):
                yield Page(body, "", {"v": 1}, pass_name=f"project {project['id']}", present=True)

    return read


def events(session: Session, ask: Ask) -> Iterator[Page]:
    for project in session.projects():
        for body in pages(session, "/v2/events", project_id=project["id"]):
            yield Page(body, "", {"v": 1}, pass_name=f"project {project['id']}", present=True)


def collected(kind: str) -> Reader:
    """A collection of every Feature Experimentation project, read whole; it counts itself."""

    def read(session: Session, ask: Ask) -> Iterator[Page]:
        for project in session.projects(flags=True):
            for body, total in linked_pages(session, f"/projects/{project['id']}/{kind}"):
                yield Page(body, "items", {"v": 1}, total=total, pass_name=f"project {project['id']}", present=True)

    return read


def rules(session: Session, ask: Ask) -> Iterator[Page]:
    """Rules of flags. Their variations are a map by key; `variants` lists the keys, `shares` the basis points.

    `experiment_id` is the experiment behind a test, by which results and decisions name it; a delivery has none, so its own id.
    """
    for project in session.projects(flags=True):
        for body, total in linked_pages(session, f"/projects/{project['id']}/rules"):
            rows = [row | {"project_id": project["id"]} | _rule_variants(row) for row in orjson.loads(body)["items"]]
            yield Page(orjson.dumps(rows), "", {"v": 1}, total=total, pass_name=f"project {project['id']}", present=True)


def _rule_variants(rule: Row) -> Row:
    found = [*(rule.get("variations") or {}).values()]
    known = {"experiment_id": rule.get("layer_experiment_id") or rule["id"]}
    return known | {"variants": [v["key"] for v in found], "shares": {v["key"]: v.get("percentage_included") for v in found}}


def rulesets(session: Session, ask: Ask) -> Iterator[Page]:
    """One request per flag and environment, two a second: slow for large projects."""
    for project in session.projects(flags=True):
        base = f"/projects/{project['id']}"
        places = [row["key"] for row in items_of(linked_pages(session, f"{base}/environments"))]
        flags = [row["key"] for row in items_of(linked_pages(session, f"{base}/flags"))]
        for flag in flags:
            for place in places:
                body = session.get(f"/flags/v1{base}/flags/{quote(flag, safe='')}/environments/{quote(place, safe='')}/ruleset").data
                yield Page(b"[" + body + b"]", "", {"v": 1}, pass_name=f"project {project['id']}", present=True)


# -- changes --------------------------------------------------------------------------------------------------------------
def changes(session: Session, ask: Ask) -> Iterator[Page]:
    """The history of changes since the last read, of every project. The lower bound is inside; ties come again."""
    state: State = {} if ask.full else dict(ask.state or {})
    since, known = state.get("since"), state.get("projects", [])
    first = ask.since.isoformat() if ask.since and not ask.full else None
    ids = [project["id"] for project in session.projects()]
    for project in ids:
        start = _moved(since, -OVERLAP_S - ask.extra_overlap_s) if since and project in known else first
        for body in pages(session, "/v2/changes", project_id=project, **({"start_time": start} if start else {})):
            yield Page(body, "", {"v": 1} | state, pass_name=f"project {project}")
    yield Page(b"[]", "", {"v": 1, "since": ask.now.isoformat(), "projects": ids})


def _moved(stamp: str, seconds: float) -> str:
    return (datetime.fromisoformat(stamp) + timedelta(seconds=seconds)).isoformat()


# -- experiments ------------------------------------------------------------------------------------------------------------
def experiments(session: Session, ask: Ask) -> Iterator[Page]:
    """All experiments of web projects, archived ones too; later those the change feed names, and what became of them.

    A project that was not there at the last read (the token's user got a role) is read whole: its changes are older than that.
    """
    state: State = {} if ask.full else dict(ask.state or {})
    since, known = state.get("since"), state.get("projects", [])
    ids = [project["id"] for project in session.projects(flags=False)]
    for project in ids:
        touched = _touched(session, project, _moved(since, -OVERLAP_S - ask.extra_overlap_s)) if since and project in known else None
        for rows in _read_again(session, project, touched):
            body = orjson.dumps([lean(row) | {"pages": _addresses(session, project, row)} for row in rows])
            yield Page(body, "", {"v": 1} | state, pass_name=f"project {project}", present=since is None)
    yield Page(b"[]", "", {"v": 1, "since": ask.now.isoformat(), "projects": ids}, present=since is None)


def _read_again(session: Session, project: int, touched: set[int] | None) -> Iterator[list[Row]]:
    """A few by their ids; many, or all (None), by the list."""
    if touched is not None and len(touched) <= PER_PAGE:
        return iter([_fetched(session, sorted(touched), project)])
    return _all_experiments(session, project, touched or set())


def _touched(session: Session, project: int, since: str) -> set[int]:
    """Experiments somebody changed, deleted ones among them."""
    asked = {"project_id": project, "start_time": since, "entity_type": "experiment"}
    return {row["entity"]["id"] for row in rows_of(pages(session, "/v2/changes", **asked))}


def _all_experiments(session: Session, project: int, also: set[int]) -> Iterator[list[Row]]:
    """The project's list, then one by one those it leaves out. Whether the list has archived ones nobody says: both are fine."""
    seen: set[int] = set()
    for body in pages(session, "/v2/experiments", project_id=project):
        rows = orjson.loads(body)
        seen |= {row["id"] for row in rows}
        yield rows
    left = sorted(({row["id"] for row in summaries(session, project)} | also) - seen)
    for i in range(0, len(left), PER_PAGE):
        yield _fetched(session, left[i : i + PER_PAGE], project)


def summaries(session: Session, project: int) -> list[Row]:
    """Id, status and last change of every experiment, archived ones too. Campaigns are in the same list."""
    asked = {"project_id": project, "archived": "true"}
    rows = session.once(f"summaries {project}", lambda: rows_of(pages(session, "/v2/experiment_summaries", **asked)))
    return [row for row in rows if row["type"] == "experiment"]


def _fetched(session: Session, ids: Iterable[int], project: int) -> list[Row]:
    """Each experiment by its id; one that is gone is a row that says so."""
    rows = []
    for i in ids:
        reply = session.get(f"/v2/experiments/{i}", 404)
        rows.append({"id": i, "project_id": project, "deleted": True} if reply.status == 404 else orjson.loads(reply.data))
    return rows


def _addresses(session: Session, project: int, row: Row) -> list[str]:
    """Where the experiment runs: an address of its own, or those of its pages. Nothing for one that is gone."""
    named = (row.get("url_targeting") or {}).get("edit_url")
    ids = [] if named else row.get("page_ids") or []
    known = session.once(f"pages {project}", lambda: rows_of(pages(session, "/v2/pages", project_id=project))) if ids else []
    found = {page["id"]: str(page["edit_url"]) for page in known if page.get("edit_url")}
    return [str(named)] if named else [found[i] for i in ids if i in found]


def lean(row: Row) -> Row:
    """The experiment without code, with `variants` (what its variations are called, the baseline first) and `shares` (basis points)."""
    found = [{k: v for k, v in one.items() if k not in _HEAVY} for one in row.get("variations") or ()]
    named = {"variations": found, "variants": [*map(called, found)], "shares": {called(v): v.get("weight") for v in found}}
    return {k: v for k, v in row.items() if k not in _HEAVY} | (named if "variations" in row else {})


def called(variation: Row) -> str:
    """Its key; web variations have none, so their name; else the id."""
    return str(variation.get("key") or variation.get("name") or variation["variation_id"])


def variations(session: Session, ask: Ask) -> Iterator[Page]:
    """One row per variation of the listed experiments, with the experiment around it."""
    for project in session.projects(flags=False):
        for body in pages(session, "/v2/experiments", project_id=project["id"]):
            rows = [
                {"experiment_id": e["id"], "project_id": e["project_id"], "experiment": e.get("name"), "started": e.get("earliest")}
                | {"variant": called(v), **v}
                for e in map(lean, orjson.loads(body))
                for v in e.get("variations", ())
            ]
            yield Page(orjson.dumps(rows), "", {"v": 1}, pass_name=f"project {project['id']}")


# -- exposures -----------------------------------------------------------------------------------------------------------
def exposures(session: Session, ask: Ask) -> Iterator[Page]:
    """What the visitors that CRM records link to were shown. New ones at once, all of them again after `REREAD_HOURS`.

    One request per visitor, so a run stops after `VISITORS_PER_RUN`. The state remembers whom it asked about by four bytes
    each: a chance likeness only delays a visitor until all are asked again.
    """
    state: State = {} if ask.full else dict(ask.state or {})
    asked = _unpacked(state.get("asked", ""))
    read, after = state.get("read"), state.get("after")
    again = after is not None or read is None or ask.now - datetime.fromisoformat(read) >= timedelta(hours=REREAD_HOURS)
    if again and after is None:
        read = ask.now.isoformat()
    kept: State = {"v": 1, "asked": state.get("asked", ""), "read": read}
    new: set[int] = set()
    count, last = 0, after or ""
    for visitor in (v for ids in ask.linked_ids("visitors") for v in ids):
        mark = _mark(visitor)
        if mark in asked and not (again and visitor > (after or "")):
            continue
        if count == VISITORS_PER_RUN:
            at: State = {"v": 1, "asked": _packed(asked | new), "read": read} | ({"after": last} if again else {})
            yield Page(b"[]", "", at, unfinished=f"{count} visitors were asked about, as many as one run may")
            return
        count, last = count + 1, max(last, visitor)
        new.add(mark)
        yield Page(orjson.dumps(_history(session, visitor)), "", kept | ({"after": last} if again else {}))
    yield Page(b"[]", "", {"v": 1, "asked": _packed(asked | new), "read": read})


def _history(session: Session, visitor: str) -> list[Row]:
    """The visitor's decisions, each with the visitor and what the variation is called.

    The id comes from a CRM's field, where anything may stand: one that the vendor cannot make sense of has no history.
    """
    path = f"/v2/attribution/{session.account_id()}/visitor/{quote(visitor, safe='')}"
    reply = session.get(path, 400, 404)
    rows = (orjson.loads(reply.data).get("bucketing_history") if reply.status == 200 else None) or []
    return [{**row, "visitor_id": visitor, "variant": _variant(session, row)} for row in rows]


def _variant(session: Session, row: Row) -> str:
    """What the variation is called: as the lists say, else the rules of flags, else its experiment; at worst its id."""
    wanted, names = int(row["variation_id"]), session.variants
    for more in (_listed_variants, _rule_variations, lambda _: _own_variants(session, row["experiment_id"])):
        if wanted in names:
            break
        names |= more(session)
    return names.setdefault(wanted, str(wanted))


def _listed_variants(session: Session) -> dict[int, str]:
    def read() -> list[Row]:
        web = session.projects(flags=False)
        return [v for p in web for e in rows_of(pages(session, "/v2/experiments", project_id=p["id"])) for v in e.get("variations") or ()]

    return {v["variation_id"]: called(v) for v in session.once("variations", read)}


def _rule_variations(session: Session) -> dict[int, str]:
    def read() -> list[Row]:
        return [r for p in session.projects(flags=True) for r in items_of(linked_pages(session, f"/projects/{p['id']}/rules"))]

    found = [v for rule in session.once("rules", read) for v in (rule.get("variations") or {}).values()]
    return {v["variation_id"]: called(v) for v in found if "variation_id" in v}


def _own_variants(session: Session, experiment: int) -> dict[int, str]:
    rows = session.once(f"experiment {experiment}", lambda: _fetched(session, [experiment], 0))
    return {v["variation_id"]: called(v) for row in rows for v in row.get("variations") or ()}


def _mark(visitor: str) -> int:
    return int.from_bytes(blake2b(visitor.encode(), digest_size=4).digest(), "big")


def _packed(marks: set[int]) -> str:
    return base64.b64encode(struct.pack(f">{len(marks)}I", *sorted(marks))).decode()


def _unpacked(text: str) -> set[int]:
    raw = base64.b64decode(text)
    return set(struct.unpack(f">{len(raw) // 4}I", raw))
