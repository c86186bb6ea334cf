"""The world as Hotjar would show it: what visitors of the site were asked, and what some of them answered."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from connectors.sandbox.world_model import Draft
from connectors.sandbox.world_names import DAY, HOME, iso
from connectors.sandbox.world_web import PAGES, Visitor

Row = dict[str, Any]
MOST = 20_000  # responses of one survey that are kept, however large the world
COUNTRY = {"Germany": "DE", "Netherlands": "NL", "France": "FR", "Denmark": "DK", "Finland": "FI", "Portugal": "PT"}
WINDOW = {"desktop": (1440, 900), "tablet": (820, 1180), "mobile": (390, 844)}
REASONS = ("Clear prices", "I miss the delivery time", "Good pictures of the sensors", "Too many words", "Found what I need")
HELPED = [page for page in PAGES if page not in ("/pricing", "/contact")]


def seed(draft: Draft) -> dict[str, Any]:
    """The Hotjar emulator's seed."""
    nps, csat = _nps(draft.now), _csat(draft.now)
    helped = [_helpful(draft.now, page) for page in HELPED]
    waves = [_wave(draft.now, n) for n in (1, 2, 3)]
    visitors = draft.web.visitors
    return {
        "credential_created": iso(draft.now - 100 * DAY),
        "surveys": [nps, csat, *helped, *waves],
        "responses": {
            nps["id"]: [*_cut(_loyal(draft, visitors, nps))],
            csat["id"]: [*_cut(_satisfied(draft, visitors, csat))],
            **{s["id"]: [*_cut(_helped(draft, visitors, s, page))] for s, page in zip(helped, HELPED, strict=True)},
        },
    }


def _cut(rows: Iterator[Row]) -> Iterator[Row]:
    for _, row in zip(range(MOST), rows, strict=False):
        yield row


# -- surveys -----------------------------------------------------------------------------------------------------------------
def _survey(number: int, name: str, kind: str, created: int, questions: list[Row], **more: Any) -> Row:
    made = {"id": f"{880_000 + number}", "name": name, "type": kind, "is_enabled": True, "created_time": iso(created)}
    return made | {"updated_time": iso(created + DAY), "sentiment_analysis_enabled": True, "questions": questions} | more


def _question(id: str, type_: str, text: str, **more: Any) -> Row:
    base = {"id": id, "type": type_, "text": text, "is_required": type_ != "long-text", "image_url": None}
    return base | {"choices": None, "labels": None} | more


def _nps(now: int) -> Row:
    labels = {"low_label": "Not at all likely", "high_label": "Very likely"}
    questions = [
        _question("q-nps", "nps", "How likely are you to recommend us?", labels=labels),
        _question("q-why", "long-text", "What is the reason for your score?"),
    ]
    return _survey(1, "Recommend us (pricing)", "popover", now - 200 * DAY, questions)


def _csat(now: int) -> Row:
    questions = [
        _question("q-csat", "rating-1-5", "How easy was it to reach us?"),
        _question(
            "q-role",
            "single-option",
            "What brings you here?",
            choices=[{"text": t, "allow_comment": t == "Other"} for t in ("Buy", "Service", "Other")],
        ),
        _question("q-mail", "email", "May we write to you? Your e-mail"),
    ]
    return _survey(2, "After the contact form", "popover", now - 190 * DAY, questions)


def _helpful(now: int, page: str) -> Row:
    number = 10 + HELPED.index(page)
    return _survey(
        number, f"Was this page helpful? {page}", "popover", now - 60 * DAY, [_question(f"q-help-{number}", "reaction-binary", "Helpful?")]
    )


def _wave(now: int, n: int) -> Row:
    """Old surveys by link that nobody answers any more."""
    closed = [
        _question(f"q-wave-{n}", "rating-1-7", "How content are you with your sensors?"),
        _question(f"q-bye-{n}", "thank-you", "Thank you"),
    ]
    return _survey(30 + n, f"Customer survey, wave {n}", "link", now - (400 - 30 * n) * DAY, closed, is_enabled=False)


# -- responses ----------------------------------------------------------------------------------------------------------------
def _loyal(draft: Draft, visitors: list[Visitor], survey: Row) -> Iterator[Row]:
    """A fifth of those who saw the prices say how they like us; some leave after the first question."""
    for v in visitors:
        visit = next((x for x in v.visits if "/pricing" in x.pages), None)
        if visit is None or draft.rng.random() > 0.2:
            continue
        score, whole = int(draft.rng.random() * 11), draft.rng.random() < 0.7
        answers = [_answer("q-nps", str(score))]
        if whole:
            sentiment = "positive" if score > 8 else "negative" if score < 7 else "neutral"
            reason = REASONS[int(draft.rng.random() * len(REASONS))]
            answers.append(_answer("q-why", reason, sentiment=sentiment, tags=[{"name": "price"}] if "price" in reason else []))
        yield _response(draft, v, survey, visit.at + 45, "/pricing", answers, whole)


def _satisfied(draft: Draft, visitors: list[Visitor], survey: Row) -> Iterator[Row]:
    """Half of those who sent the contact form; half of these leave their address."""
    for v in visitors:
        sent = next((e for x in v.visits for e in x.events if e.name == "generate_lead"), None)
        if sent is None or draft.rng.random() > 0.5:
            continue
        mail = v.person.email if v.person and draft.rng.random() < 0.5 else None
        role = _answer("q-role", "Other", comment="A leaking flow meter") if draft.rng.random() < 0.2 else _answer("q-role", "Buy")
        answers = [_answer("q-csat", str(1 + int(draft.rng.random() * 5))), role, _answer("q-mail", mail)]
        yield _response(draft, v, survey, sent.at + 20, "/contact", answers, True)


def _helped(draft: Draft, visitors: list[Visitor], survey: Row, page: str) -> Iterator[Row]:
    for v in visitors:
        visit = next((x for x in v.visits if page in x.pages and x.at > draft.now - 60 * DAY), None)
        if visit is not None and draft.rng.random() < 0.1:
            yield _response(
                draft,
                v,
                survey,
                visit.at + 30,
                page,
                [_answer(survey["questions"][0]["id"], "1" if draft.rng.random() < 0.8 else "0")],
                True,
            )


def _answer(question: str, answer: str | None, **more: Any) -> Row:
    return {"question_id": question, "answer": answer, "comment": None, "tags": [], "sentiment": None} | more


def _response(draft: Draft, visitor: Visitor, survey: Row, at: int, page: str, answers: list[Row], whole: bool) -> Row:
    width, height = WINDOW[visitor.device]
    return {
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"{survey['id']}/{visitor.client_id}")),
        "created_time": iso(at),
        "is_complete": whole,
        "hotjar_user_id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"hotjar/{visitor.client_id}")),
        "device": visitor.device,
        "browser": visitor.browser,
        "os": "iOS" if visitor.device != "desktop" else "Windows",
        "country": COUNTRY.get(visitor.country),
        "response_origin_url": f"https://www.{HOME}{page}",
        "recording_url": None,
        "window_size": {"width": width, "height": height},
        "user_attributes": _known(visitor, at),
        "answers": answers,
    }


def _known(visitor: Visitor, at: int) -> list[Row]:
    """What the site told Hotjar of a visitor (Identify API): the analytics id of a third of all, and who has signed in before."""
    found = [{"name": "ga_client_id", "value": visitor.client_id}] if visitor.number % 3 == 0 else []
    if visitor.person and visitor.person.created < at and visitor.number % 2 == 0:
        found.append({"name": "email", "value": visitor.person.email})
    return found
