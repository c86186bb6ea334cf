"""Hotjar, and the same surveys after their move to Contentsquare: what people say. What the vendor is, as data.

How responses are walked is in `hotjar_read`. Nothing is written: the one call that could deletes people, and is not in here.
"""

from __future__ import annotations

from typing import Any

from connectors.hotjar_read import SETTLE, all_surveys, responses, surveys
from connectors.hotjar_session import TOKEN_PATH, Session, envelope, fault, open_session, warnings
from core.connector import Bucket, Connector, Live, LiveField, Resource, Setting


def probe(session: Session) -> str:
    rows, cursor = envelope(session.get(limit=100))
    return f"Hotjar site {session.site}: {len(rows)}{' or more' if cursor else ''} surveys"


def discover(session: Session) -> Live:
    """The questions of all surveys: answers name them by these ids."""
    fields = [
        LiveField("questions", q["id"], f"{survey['name']}: {q.get('text') or ''}", q["type"], choices(q), writable=False)
        for survey in all_surveys(session)
        for q in survey.get("questions") or ()
    ]
    return Live(tuple(fields))


def choices(question: dict[str, Any]) -> tuple[str, ...]:
    """Their texts; they come as objects, or (one client says) as plain texts."""
    return tuple(str(c["text"] if isinstance(c, dict) else c) for c in question.get("choices") or ())


CONNECTOR = Connector(
    name="hotjar",
    title="Hotjar (Contentsquare)",
    docs_url="https://help.hotjar.com/hc/en-us/articles/36820005914001-Hotjar-API-Reference",
    docs_read="2026-11-25",
    settings=(
        Setting("client_id", "Client id: Settings → API, by an Admin; with the scope to read surveys"),
        Setting("client_secret", "Client secret", secret=True),
        Setting("site_id", "Number of the site (of the project, in Contentsquare): Sites & Organizations"),
        Setting(
            "created",
            "Day the credentials were created, such as 2026-01-31: they end a year later, and a warning comes 30 days ahead",
            required=False,
        ),
        Setting("profile", "hotjar, or contentsquare after the account was moved there", required=False, default="hotjar"),
        Setting("base_url", "Address of the API; by default the profile's", required=False),
    ),
    # 3000 requests a minute, as others report of the vendor's page; a tenth is left to them. Read 2026-11
    buckets=(Bucket("minute", calls=3000, window_s=60.0, concurrent=4, reserve_share=0.1),),
    open=open_session,
    probe=probe,
    fault=fault,
    resources=(
        Resource(
            "surveys",
            surveys,
            deletes="sweep",
            completeness="none: the vendor does not count; read until there is no cursor",
            traps=("the site's number can only be seen in the product, not be asked for", "questions come only when asked for"),
        ),
        Resource(
            "responses",
            responses,
            after=("surveys",),
            cursor="created_time",
            overlap_s=SETTLE.total_seconds(),
            deletes="none",
            completeness="none: the vendor does not count; read until settled ones or no cursor",
            traps=(
                "newest first, and nothing to ask by date: read down to what was settled a day before the last read",
                "a response is completed, tagged and judged later: the last day is read again, everything once a week",
                "answers do not say what kind of question they answer: joined by the question's id, never by its text",
                "an address may be typed into an e-mail question, or be known from the Identify API",
            ),
        ),
    ),
    discover=discover,
    safe_posts=(f"^{TOKEN_PATH}$",),
    cannot=(
        "recordings, heat maps, funnels, traffic, feedback, a list of sites: not in the API",
        "responses between two dates, or changed since",
        "see deleted responses",
        "write events, attributes or metrics: there is no such call",
        "look up or delete a person: left out on purpose, one flag of the same call deletes at once",
    ),
    warnings=warnings,
)
