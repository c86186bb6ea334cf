"""Reading Hotjar: surveys with their questions, and what people answered, newest first.

Nothing can be asked by date and a response changes for a while: it is completed, tagged, judged. So a survey is read from its
newest response down to those that were a day old when it was read last; and whole once a week.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

import orjson

from connectors.hotjar_session import Session, envelope
from core.connector import Ask, Page, State
from core.errors import VendorError

PAGE = 100
SETTLE = timedelta(hours=24)  # after so long is_complete, tags and sentiment are taken to stand still
WEEK = timedelta(days=7)
EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
NUMBER = re.compile(r"-?\d+(\.\d+)?")
# Questions whose answer is a number that means something by itself. The others are words.
SCORES = ("nps", "rating-1-5", "rating-1-7", "reaction", "reaction-binary")
Row = dict[str, Any]


# -- surveys ---------------------------------------------------------------------------------------------------------------------
def surveys(session: Session, ask: Ask) -> Iterator[Page]:
    """All surveys with their questions, read whole."""
    for body, _ in _survey_pages(session):
        yield Page(body, "results", {"v": 1}, present=True)


def all_surveys(session: Session) -> Iterator[Row]:
    for _, found in _survey_pages(session):
        yield from found


def _survey_pages(session: Session) -> Iterator[tuple[bytes, list[Row]]]:
    cursor: str | None = None
    while True:
        body = session.get(limit=PAGE, cursor=cursor, with_questions="true")
        rows, cursor = envelope(body)
        yield body, rows
        if cursor is None:
            return


# -- responses -------------------------------------------------------------------------------------------------------------------
def responses(session: Session, ask: Ask) -> Iterator[Page]:
    """Survey by survey. The state has, for each, when it was last read to its end (`read`), and where the one in hand stands (`at`)."""
    state = _begun(ask)
    for survey in all_surveys(session):
        if survey["id"] not in state["done"]:
            yield from _of_survey(session, survey, state, ask)
    state["done"], state["at"] = [], None
    yield Page(b"[]", "", _frozen(state))


def _begun(ask: Ask) -> State:
    """The state to go on from: a fresh one, one for a weekly whole read, or an interrupted one as it is."""
    fresh: State = {"v": 1, "read": {}, "done": [], "at": None, "whole_at": ask.now.isoformat()}
    if ask.full or ask.state is None:
        return fresh
    state = _frozen(ask.state)
    going_on = state["done"] or state["at"]
    if not going_on and ask.now - datetime.fromisoformat(state["whole_at"]) >= WEEK:
        return fresh
    return state


def _frozen(state: Mapping[str, Any]) -> State:
    """A copy that later steps do not change."""
    return {**state, "read": dict(state["read"]), "done": list(state["done"])}


def _of_survey(session: Session, survey: Row, state: State, ask: Ask) -> Iterator[Page]:
    at = state["at"] if state["at"] and state["at"]["survey"] == survey["id"] else None
    began = at["began"] if at else ask.now.isoformat()
    cursor, bound = at["cursor"] if at else None, _bound(survey["id"], state, ask)
    while True:
        rows, cursor = _page(session, survey["id"], cursor)
        wanted = [r for r in rows if bound is None or datetime.fromisoformat(r["created_time"]) >= bound]
        if cursor is None or len(wanted) < len(rows):
            state["read"][survey["id"]] = began
            state["done"].append(survey["id"])
            state["at"] = None
        else:
            state["at"] = {"survey": survey["id"], "cursor": cursor, "began": began}
        body = orjson.dumps([_response(r, survey) for r in wanted])
        yield Page(body, "", _frozen(state), pass_name=survey["id"], context={"survey_id": survey["id"]})
        if state["at"] is None:
            return


def _bound(survey: str, state: State, ask: Ask) -> datetime | None:
    """Responses created before this were settled when they were read last."""
    read = state["read"].get(survey)
    if read is not None:
        return datetime.fromisoformat(read) - SETTLE - timedelta(seconds=ask.extra_overlap_s)
    return ask.since if ask.state is None and not ask.full else None


def _page(session: Session, survey: str, cursor: str | None) -> tuple[list[Row], str | None]:
    """One page; from the newest again when an old cursor is no longer known."""
    path = f"/{quote(survey, safe='')}/responses"
    try:
        return envelope(session.get(path, limit=PAGE, cursor=cursor))
    except VendorError as refusal:
        if cursor is None or refusal.status != 400:
            raise
        return envelope(session.get(path, limit=PAGE))


def _response(row: Row, survey: Row) -> Row:
    """The response with what a mapping cannot dig out: `traits` (user attributes by name), `email`, and `score` with its `scored` kind.

    Answers are known by the question's id, never by its text, and get its type. An address typed into an e-mail question
    stands in `email` only; what is no address is left in the answers.
    """
    types = {q["id"]: q["type"] for q in survey.get("questions") or ()}
    answers = [{**a, "type": types.get(a["question_id"])} for a in row.get("answers") or ()]
    typed = [a for a in answers if a["type"] == "email" and EMAIL.fullmatch((a.get("answer") or "").strip())]
    traits = {a["name"]: a["value"] for a in row.get("user_attributes") or ()}
    known = str(traits.get("email") or "").strip()
    scored = next((a for t in SCORES for a in answers if a["type"] == t and NUMBER.fullmatch(a.get("answer") or "")), None)
    return {
        **row,
        "traits": traits,
        "email": typed[0]["answer"].strip() if typed else known if EMAIL.fullmatch(known) else None,
        "score": scored["answer"] if scored else None,
        "scored": scored["type"] if scored else None,
        "answers": [a for a in answers if a not in typed],
    }
