"""A stateful Hotjar (API v1) over loopback HTTP, and its Contentsquare successor; written from the vendors' documentation.

The whole public API: a token, surveys, their responses, and the look-up of a person, which can also delete.
"""

from __future__ import annotations

import base64
import json
import secrets
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import parse_qs

from connectors.sandbox.kit import Emulator, Reply, Request, Route

Row = dict[str, Any]
CLIENT_ID, CLIENT_SECRET = "hotjar-sandbox-client", "hj-secret-51c09a7e"
SITE = "3141592"
TOKEN_S = 3600  # Source: https://help.hotjar.com/hc/en-us/articles/36820005914001-Hotjar-API-Reference, read 2026-11
CREDENTIAL = timedelta(days=365)  # "expire after exactly one year"
PAGE, PAGE_MAX = {"hotjar": 100, "contentsquare": 20}, 100
MINUTE_CALLS = 3000


class Refusal(Exception):
    """The vendor says no. What Hotjar's bodies look like is in no document; the connector must not read them."""

    def __init__(self, status: int, message: str, code: str = "") -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


class HotjarEmulator(Emulator):
    """One site. `profile`: hotjar, or contentsquare with its own paths, tokens and refusals. `plan`: whether surveys are in it."""

    name = "hotjar"
    keys: ClassVar[Mapping[str, str]] = {"client_secret": CLIENT_SECRET}

    def __init__(self, seed: Mapping[str, Any] | None = None, *, profile: str = "hotjar", **kwargs: Any) -> None:
        self.profile, self.plan = profile, True
        self.tokens: dict[str, float] = {}  # token → when it ends
        self.lookups: list[Row] = []
        self._recent: deque[float] = deque()
        super().__init__(None, **kwargs)
        self.edits = {
            "respond": self.respond, "complete": self.complete, "tag": self.tag, "rename": self.rename, "forget": self.forget,
            "add_survey": self.add_survey, "knob": lambda name, value: setattr(self, name, value),
        }  # fmt: skip
        if seed is not None:
            self.load(seed)

    @classmethod
    def settings(cls, url: str) -> Mapping[str, str]:
        return {"base_url": url, "client_id": CLIENT_ID, "site_id": SITE}

    def load(self, seed: Mapping[str, Any]) -> None:
        self.created: str | None = seed.get("credential_created")
        self.surveys: dict[str, Row] = {s["id"]: dict(s) for s in seed["surveys"]}
        given = seed.get("responses", {})
        self.responses: dict[str, dict[str, Row]] = {s: {r["id"]: dict(r) for r in given.get(s, ())} for s in self.surveys}

    # -- the door ----------------------------------------------------------------------------------------------------
    def authorise(self, request: Request) -> Reply | None:
        if request.path == "/v1/oauth/token":
            return None
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        until = self.tokens.get(token) if scheme == "Bearer" else None
        if until is not None and self.clock.now() < until:
            return None
        expired = until is not None
        return self._refused(
            Refusal(401, "Auth token is expired." if expired else "Unauthorized", "JWT_EXPIRED" if expired else "JWT_INVALID")
        )

    def _refused(self, refusal: Refusal) -> Reply:
        """Source: https://docs.contentsquare.com/en/api/responses/authentication/, read 2026-11"""
        if self.profile == "contentsquare":
            body = {"success": False, "errorMessage": refusal.message, "errorCode": refusal.code or str(refusal.status)}
            return Reply(body, refusal.status)
        return Reply(refusal.message.encode(), refusal.status, content_type="text/plain")

    def limit(self, request: Request) -> Reply | None:
        now = self.clock.now()
        while self._recent and now - self._recent[0] >= 60:
            self._recent.popleft()
        if len(self._recent) >= MINUTE_CALLS:
            return self.throttled(None)
        self._recent.append(now)
        return None

    def throttled(self, retry_after: str | None) -> Reply:
        reply = self._refused(Refusal(429, "Too Many Requests"))
        reply.headers = {"Retry-After": retry_after} if retry_after else {}
        return reply

    def expire_tokens(self) -> None:
        self.tokens = dict.fromkeys(self.tokens, 0.0)

    def not_found(self, request: Request) -> Reply:
        """Sites, recordings, heat maps, feedback, forms: there is nothing of the kind, whatever others write."""
        return self._refused(Refusal(404, "Not Found"))

    def _route(self, request: Request) -> Reply:
        try:
            return super()._route(request)
        except Refusal as refusal:
            return self._refused(refusal)

    # -- routes ------------------------------------------------------------------------------------------------------
    def routes(self) -> Sequence[Route]:
        # https://help.hotjar.com/hc/en-us/articles/36820005914001-Hotjar-API-Reference has all of Hotjar's
        at = "/v1/sites/{site}/surveys"
        own = [Route("POST", "/v1/organizations/{organization}/user-lookup", self._look_up)]
        if self.profile == "contentsquare":
            at, own = "/v1/public/projects/{site}/surveys", []  # https://docs.contentsquare.com/en/api/responses/
        return [
            Route("POST", "/v1/oauth/token", self._token),
            Route("GET", at, self._surveys),
            Route("GET", f"{at}/{{survey}}", self._survey),
            Route("GET", f"{at}/{{survey}}/responses", self._responses),
            *own,
        ]

    def _token(self, request: Request) -> Reply:
        """Hotjar takes a form, Contentsquare takes JSON and wants a scope; it also says where to ask."""
        newer = self.profile == "contentsquare"
        try:
            asked = request.json() if newer else {k: v[0] for k, v in parse_qs(request.body.decode()).items()}
        except json.JSONDecodeError:
            raise Refusal(400, "Bad Request") from None
        if not isinstance(asked, dict) or asked.get("grant_type") != "client_credentials" or (newer and asked.get("scope") != "surveys"):
            raise Refusal(400, "Bad Request")
        ended = self.created is not None and self.clock.utc() >= datetime.fromisoformat(self.created) + CREDENTIAL
        if ended or (asked.get("client_id"), asked.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            raise Refusal(401, "Unauthorized", "INVALID_CREDENTIALS")
        token = secrets.token_hex(16)
        self.tokens[token] = self.clock.now() + TOKEN_S
        answer = {"access_token": token, "token_type": "Bearer", "expires_in": TOKEN_S}
        return Reply(answer | ({"endpoint": f"http://{request.headers['host']}", "scope": "surveys"} if newer else {}))

    def _allowed(self, request: Request) -> None:
        if not self.plan:
            raise Refusal(403, "Forbidden")
        if request.params["site"] != SITE:
            raise Refusal(404, "Not Found")

    def _page(self, request: Request, rows: Sequence[Row]) -> Reply:
        """Rows after the cursor, which names the last row given; a row that came meanwhile moves nothing."""
        limit = request.q("limit") or str(PAGE[self.profile])
        if not limit.isdecimal() or not 1 <= int(limit) <= PAGE_MAX:
            raise Refusal(400, "limit must be between 1 and 100")
        cursor = request.q("cursor")
        if cursor:
            after = _position(cursor)
            rows = [r for r in rows if _key(r) < after]
        page = rows[: int(limit)]
        more = len(rows) > len(page)
        return Reply({"results": page, "next_cursor": _cursor(page[-1]) if more else None})

    def _surveys(self, request: Request) -> Reply:
        self._allowed(request)
        with_questions = (request.q("with_questions") or "").lower() == "true"
        return self._page(request, [self._shown(s, with_questions) for s in sorted(self.surveys.values(), key=_key, reverse=True)])

    def _shown(self, survey: Row, with_questions: bool) -> Row:
        own = f"/v1/sites/{SITE}/surveys/{survey['id']}"
        return {**survey, "url": own, "responses_url": f"{own}/responses", "questions": survey["questions"] if with_questions else None}

    def _one(self, request: Request) -> Row:
        self._allowed(request)
        found = self.surveys.get(request.params["survey"])
        if found is None:
            raise Refusal(404, "Not Found")
        return found

    def _survey(self, request: Request) -> Reply:
        return Reply(self._shown(self._one(request), True))

    def _responses(self, request: Request) -> Reply:
        """Newest first. There is no other order, and nothing to ask by date."""
        survey = self._one(request)
        return self._page(request, sorted(self.responses[survey["id"]].values(), key=_key, reverse=True))

    def _look_up(self, request: Request) -> Reply:
        """Finds a person; with `delete_all_hits` it deletes everything of his, at once and without asking."""
        asked = request.json()
        if not isinstance(asked, dict) or not (asked.get("data_subject_email") or asked.get("data_subject_site_id_to_user_id_map")):
            raise Refusal(400, "Bad Request")
        self.lookups.append(asked)
        if asked.get("delete_all_hits") is True:
            self.forget(str(asked.get("data_subject_email")))
        return Reply({})

    # -- what tests and users change behind the API's back ------------------------------------------------------------
    def _now(self) -> str:
        return self.clock.utc().isoformat().replace("+00:00", "Z")

    def respond(self, survey: str, id: str, answers: Mapping[str, str], **more: Any) -> Row:
        """A new response, now; complete unless `is_complete` says otherwise."""
        given: list[Row] = [{"question_id": q, "answer": a, "comment": None, "tags": [], "sentiment": None} for q, a in answers.items()]
        row = {
            "id": id, "created_time": self._now(), "is_complete": True, "hotjar_user_id": f"hj-{id}",
            "device": "desktop", "browser": "Firefox", "os": "Linux", "country": "DE",
            "response_origin_url": "https://www.acme.test/pricing", "recording_url": None,
            "window_size": {"width": 1280, "height": 800}, "user_attributes": [], "answers": given,
        }  # fmt: skip
        self.responses[survey][id] = row | more
        return self.responses[survey][id]

    def complete(self, survey: str, id: str) -> None:
        self.responses[survey][id]["is_complete"] = True

    def tag(self, survey: str, id: str, name: str, sentiment: str | None = None) -> None:
        """Somebody, or the vendor's model, has read the first answer."""
        answer = self.responses[survey][id]["answers"][0]
        answer["tags"], answer["sentiment"] = [*answer["tags"], {"name": name}], sentiment

    def rename(self, survey: str, name: str) -> None:
        self.surveys[survey] |= {"name": name, "updated_time": self._now()}

    def add_survey(self, survey: Mapping[str, Any]) -> None:
        self.surveys[survey["id"]] = dict(survey)
        self.responses[survey["id"]] = {}

    def forget(self, email: str) -> None:
        for rows in self.responses.values():
            for id, row in list(rows.items()):
                said = [a["answer"] for a in row["answers"]] + [a["value"] for a in row["user_attributes"]]
                if email in said:
                    del rows[id]

    # -- what the sandbox and the tour ask ----------------------------------------------------------------------------
    def rows(self) -> Mapping[str, int]:
        return {"surveys": len(self.surveys), "responses": sum(len(rows) for rows in self.responses.values())}

    def change_rows(self, turn: int) -> set[str]:
        """Somebody begins to answer; in the next turn he has finished, and the survey has another name."""
        survey = next(iter(self.surveys))
        if turn % 2 == 0:
            question = self.surveys[survey]["questions"][0]["id"]
            self.respond(survey, f"tour-{turn}", {question: "7"}, is_complete=False)
            return {"responses"}
        self.complete(survey, f"tour-{turn - 1}")
        self.rename(survey, f"Renamed ({turn})")
        return {"surveys", "responses"}

    def dump(self) -> Any:
        return {"surveys": self.surveys, "responses": self.responses, "lookups": self.lookups}


def _key(row: Row) -> tuple[str, str]:
    return row["created_time"], row["id"]


def _cursor(row: Row) -> str:
    return base64.urlsafe_b64encode(json.dumps(_key(row)).encode()).decode()


def _position(cursor: str) -> tuple[str, str]:
    try:
        created, id_ = json.loads(base64.urlsafe_b64decode(cursor))
    except ValueError:
        raise Refusal(400, "Bad Request") from None
    return created, id_


__all__ = ["CLIENT_ID", "CLIENT_SECRET", "SITE", "HotjarEmulator"]
