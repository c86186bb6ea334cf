"""The emulated Hotjar, and its successor, answer and refuse as the vendors do; asked over bare HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest
from hotjar_site import FORM, NPS, Site, response, seed, site

from connectors.sandbox.hotjar import SITE

MINUTE = timedelta(minutes=1)


def many(n: int) -> dict[str, Any]:
    return seed({"1": [response(i, MINUTE * i, {"q1": "9"}) for i in range(n)]})


# -- tokens ------------------------------------------------------------------------------------------------------------------
def test_a_token_opens_for_an_hour() -> None:
    with site(many(1)) as place:
        token = place.token()
        path = f"/v1/sites/{SITE}/surveys"
        assert place.bare("GET", path, token=token)[0] == 200
        place.clock.advance(3599)
        assert place.bare("GET", path, token=token)[0] == 200
        place.clock.advance(1)
        assert place.bare("GET", path, token=token)[0] == 401
        assert place.bare("GET", path)[0] == 401


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (urlencode(FORM | {"client_secret": "x"}).encode(), 401),
        (urlencode(FORM | {"grant_type": "password"}).encode(), 400),
        (orjson.dumps(FORM), 400),
    ],
)
def test_hotjar_takes_the_right_credentials_in_a_form(body: bytes, status: int) -> None:
    with site(many(1)) as place:
        assert place.bare("POST", "/v1/oauth/token", body)[0] == status


def test_credentials_end_after_exactly_one_year() -> None:
    with site(many(1) | {"credential_created": "2025-06-30T09:00:01Z"}) as place:
        assert place.token()
        place.clock.advance(1)
        assert place.bare("POST", "/v1/oauth/token", urlencode(FORM).encode())[0] == 401


def test_contentsquare_takes_json_with_a_scope_says_where_to_ask_and_names_what_is_wrong() -> None:
    with site(many(1), "contentsquare") as place:
        assert place.bare("POST", "/v1/oauth/token", urlencode(FORM).encode())[0] == 400
        assert place.bare("POST", "/v1/oauth/token", orjson.dumps(FORM))[0] == 400
        status, answer = place.bare("POST", "/v1/oauth/token", orjson.dumps(FORM | {"scope": "surveys"}))
        assert (status, orjson.loads(answer)["endpoint"]) == (200, place.url)
        token = orjson.loads(answer)["access_token"]
        place.emulator.expire_tokens()
        status, answer = place.bare("GET", f"/v1/public/projects/{SITE}/surveys", token=token)
    assert (status, orjson.loads(answer)) == (401, {"success": False, "errorMessage": "Auth token is expired.", "errorCode": "JWT_EXPIRED"})


# -- what there is, and what there is not ----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "path", ["/v1/sites", f"/v1/sites/{SITE}/recordings", f"/v1/sites/{SITE}/heatmaps", f"/v1/sites/{SITE}/feedback", "/v1/users"]
)
def test_what_others_write_about_is_not_there(path: str) -> None:
    with site(many(1)) as place:
        assert place.bare("GET", path, token=place.token())[0] == 404


@pytest.mark.parametrize(
    ("profile", "path"), [("hotjar", f"/v1/public/projects/{SITE}/surveys"), ("contentsquare", f"/v1/sites/{SITE}/surveys")]
)
def test_each_vendor_has_its_own_paths(profile: str, path: str) -> None:
    with site(many(1), profile) as place:
        assert place.bare("GET", path, token=place.token())[0] == 404


def test_another_site_is_missing_and_a_small_plan_forbids() -> None:
    with site(many(1)) as place:
        assert place.bare("GET", "/v1/sites/99/surveys", token=place.token())[0] == 404
        assert place.get("/77/responses")[0] == 404
        place.emulator.plan = False
        assert place.get("")[0] == 403


def test_questions_come_only_when_asked_for() -> None:
    with site(many(1)) as place:
        shown = [place.get("", **q)[1]["results"][-1] for q in ({}, {"with_questions": "true"})]
    assert [s["questions"] for s in shown] == [None, NPS["questions"]]


# -- pages ---------------------------------------------------------------------------------------------------------------------
def walked(place: Site, limit: int | None = None) -> list[list[str]]:
    pages, query = [], {"limit": limit} if limit else {}
    while True:
        answer = place.get("/1/responses", **query)[1]
        pages.append([r["id"] for r in answer["results"]])
        if answer["next_cursor"] is None:
            return pages
        query["cursor"] = answer["next_cursor"]


@pytest.mark.parametrize(("profile", "size"), [("hotjar", 100), ("contentsquare", 20)])
def test_responses_come_newest_first_in_pages_until_there_is_no_cursor(profile: str, size: int) -> None:
    with site(many(2 * size), profile) as place:
        pages = walked(place)
    assert [len(p) for p in pages] == [size, size]
    assert [i for p in pages for i in p] == [f"r{n:05}" for n in range(2 * size)]


def test_a_response_that_comes_while_paging_moves_nothing() -> None:
    with site(many(4)) as place:
        first = place.get("/1/responses", limit=2)[1]
        place.emulator.respond("1", "new", {"q1": "3"})
        rest = place.get("/1/responses", limit=2, cursor=first["next_cursor"])[1]
    assert [r["id"] for r in first["results"] + rest["results"]] == ["r00000", "r00001", "r00002", "r00003"]
    assert rest["next_cursor"] is None


@pytest.mark.parametrize("query", [{"limit": 101}, {"limit": 0}, {"limit": "x"}, {"cursor": "4711"}])
def test_odd_pages_are_refused(query: dict[str, Any]) -> None:
    with site(many(1)) as place:
        assert place.get("/1/responses", **query)[0] == 400


def test_more_than_3000_calls_in_a_minute_are_refused() -> None:
    with site(many(1)) as place:
        token, path = place.token(), f"/v1/sites/{SITE}/surveys"
        place.emulator._recent.extend([place.clock.now()] * 2999)
        assert place.bare("GET", path, token=token)[0] == 429
        place.clock.advance(60)
        assert place.bare("GET", path, token=token)[0] == 200


# -- people -----------------------------------------------------------------------------------------------------------------------
def test_a_look_up_reports_and_with_the_flag_it_deletes_at_once() -> None:
    known = {"user_attributes": [{"name": "email", "value": "ann@acme.test"}]}
    with site(seed({"1": [response(1, MINUTE, {"q1": "9"}, **known), response(2, MINUTE, {"q1": "9"})]})) as place:
        path, token = "/v1/organizations/1/user-lookup", place.token()
        ask = {"data_subject_email": "ann@acme.test", "delete_all_hits": False}
        assert place.bare("POST", path, orjson.dumps({"delete_all_hits": True}), token)[0] == 400
        assert place.bare("POST", path, orjson.dumps(ask), token)[0] == 200
        assert len(place.emulator.responses["1"]) == 2
        assert place.bare("POST", path, orjson.dumps(ask | {"delete_all_hits": True}), token)[0] == 200
        assert list(place.emulator.responses["1"]) == ["r00002"]
        assert len(place.emulator.lookups) == 2
