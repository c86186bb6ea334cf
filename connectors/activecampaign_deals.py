"""Reading ActiveCampaign's deals: their custom fields, their place in the pipeline, and how they came there.

Deals may be ordered by creation only, and filtered by the time of their last change; offsets are all there is to page by.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson

from connectors.activecampaign_read import begin, changed, finished, newest, wanted
from connectors.activecampaign_session import Row, Session
from core.connector import Ask, Page, State

OUTCOMES = {"1": "won", "2": "lost"}  # of a deal's status; 0 is open. Source: …/reference/deal, read 2026-11-20


def place(deal: Row) -> str | None:
    """Where the deal stands: its stage while it is open, else how it ended. A stage alone never says that a deal is over."""
    return OUTCOMES.get(str(deal.get("status"))) or deal.get("stage")


# -- deals ------------------------------------------------------------------------------------------------------------
def deals(session: Session, ask: Ask) -> Iterator[Page]:
    """Deals changed since, or all, with `place` and their custom fields under `fields`.

    Deals the key may not see come as an id and a title; they pass as they are, for the mapping to reject.
    """
    values = _Values(session, whole=begin(ask)[0] is None) if wanted(ask) else None
    for rows, state, total, present in _pages(session, ask):
        shown = [row | {"place": place(row), "fields": values.of(str(row["id"])) if values else {}} for row in rows if not _hidden(row)]
        body = orjson.dumps({"deals": shown + [row for row in rows if _hidden(row)]})
        yield Page(body, "deals", state, total=total, present=present)


def snapshots(session: Session, ask: Ask) -> Iterator[Page]:
    """The same rows as `deals`, to be kept one by one as they were seen: nothing of them is ever swept."""
    for rows, state, total, _ in _pages(session, ask):
        shown = [row | {"place": place(row)} for row in rows if not _hidden(row)]
        yield Page(orjson.dumps({"deals": shown}), "deals", state, total=None if total is None else total - len(rows) + len(shown))


def _hidden(row: Row) -> bool:
    return row.get("isDisabled") not in (None, False, 0, "0")


def _pages(session: Session, ask: Ask) -> Iterator[tuple[list[Row], State, int | None, bool]]:
    """(rows, state after them, total, whether all live deals are listed)."""
    since, now = begin(ask)
    query = [("orders[cdate]", "ASC"), *changed(since, now)]
    for listed, offset, last in session.offsets("deals", "deals", query, int(now.get("offset", 0))):
        now = now | {"offset": offset, "newest": newest(listed.rows, "mdate", now["newest"])}
        state: State = finished(since, now, listed) if last else {"v": 1, "since": since, "open": now}
        yield listed.rows, state, listed.total, since is None and not listed.nothing


# -- custom fields ------------------------------------------------------------------------------------------------------
def slug(label: str) -> str:
    """ "Contract end" → CONTRACT_END: deal fields have labels only; contact fields get their tags in the same way."""
    return re.sub(r"[^A-Z0-9]+", "_", label.upper()).strip("_")


def deal_fields(session: Session) -> dict[str, Row]:
    """The account's deal fields by slug; of two labels that give the same, the later has its id behind it."""
    found: dict[str, Row] = {}
    for row in session.every("dealCustomFieldMeta", "dealCustomFieldMeta"):
        name = slug(str(row["fieldLabel"]))
        found[f"{name}_{row['id']}" if name in found else name] = row
    return found


class _Values:
    """Values of custom fields by deal: all at once for a whole read, else deal by deal."""

    def __init__(self, session: Session, *, whole: bool) -> None:
        self.session = session
        self.names = {str(row["id"]): name for name, row in deal_fields(session).items()}
        self.known: dict[str, Row] | None = {} if whole else None
        if self.known is not None:
            for row in session.every("dealCustomFieldData", "dealCustomFieldData"):
                self._take(self.known.setdefault(str(row["dealId"]), {}), row)

    def of(self, deal: str) -> Row:
        if self.known is not None:
            return self.known.get(deal, {})
        found: Row = {}
        for row in values_of(self.session, deal):
            self._take(found, row)
        return found

    def _take(self, into: Row, row: Row) -> None:
        name = self.names.get(str(row["customFieldId"]))
        if name is not None:
            into[name] = row["fieldValue"]
            if row.get("fieldCurrency"):
                into[f"{name}_currency"] = row["fieldCurrency"]


def values_of(session: Session, deal: str) -> list[Row]:
    return list(session.every("dealCustomFieldData", "dealCustomFieldData", [("filters[dealId]", deal)]))


# -- what happened to a deal ----------------------------------------------------------------------------------------------
def activities(session: Session, ask: Ask) -> Iterator[Page]:
    """The activities of each deal changed since, a page per deal; those that changed its place say so.

    Added to the vendor's rows: `change` (first, stage, outcome, or null), `entered`, the stage or outcome entered, and
    `group`, the deal's pipeline of today. The first stage stands in no activity; it is what the first move left, or where
    the deal still is.
    """
    moves = session.moves if session.moves and _proven(session, session.moves) else None
    since, now = begin(ask)
    query = [("orders[cdate]", "ASC"), *changed(since, now)]
    for listed, offset, last in session.offsets("deals", "deals", query, int(now.get("offset", 0))):
        ahead = now | {"offset": offset, "newest": newest(listed.rows, "mdate", now["newest"])}
        visible = [row for row in listed.rows if not _hidden(row)]
        for deal in visible:
            rows = _told(session, deal, moves)
            body = orjson.dumps({"dealActivities": rows})
            yield Page(body, "dealActivities", {"v": 1, "since": since, "open": now}, present=since is None)
        now = ahead
        state: State = finished(since, now, listed) if last else {"v": 1, "since": since, "open": now}
        yield Page(b'{"dealActivities":[]}', "dealActivities", state, present=since is None and not listed.nothing)


def _proven(session: Session, moves: tuple[str, str, str]) -> bool:
    """Does the account tell stage moves in this way? The vendor documents no way, so one that does must be shown."""
    kind, new, _ = moves
    stages = {str(row["id"]) for row in session.every("dealStages", "dealStages")}
    said = session.get("dealActivities", [("filters[data_type]", kind), ("limit", "20")])
    return any(row.get("dataType") == kind and str(row.get(new)) in stages for row in said.get("dealActivities") or ())


def _told(session: Session, deal: Row, moves: tuple[str, str, str] | None) -> list[Row]:
    path = f"deals/{deal['id']}/dealActivities"
    rows = [row for row in session.every(path, "dealActivities", [("exclude", "1")]) if str(row.get("deleted")) != "1"]
    rows.sort(key=lambda row: (datetime.fromisoformat(row["cdate"]), int(row["id"])))
    kind, new, old = moves or ("", "", "")
    moved = [row for row in rows if moves and row.get("dataType") == kind]
    stage = str((moved[0].get(old) if moved else None) or deal["stage"])
    told = [_first(deal, stage)] if moves else []
    for row in rows:
        change, entered = None, None
        if moves and row.get("dataType") == kind:
            change, entered = "stage", str(row[new])
            stage = entered
        elif row.get("dataType") == "status":
            change, entered = "outcome", OUTCOMES.get(str(row.get("dataAction")), stage if moves else None)
        told.append(row | {"change": change if entered else None, "entered": entered, "group": deal["group"]})
    return told


def _first(deal: Row, stage: str) -> dict[str, Any]:
    return {
        "id": f"first-{deal['id']}",
        "deal": deal["id"],
        "cdate": deal["cdate"],
        "change": "first",
        "entered": stage,
        "group": deal["group"],
    }
