"""The Hotjar connector against the emulated vendor: read to the end, then only what may still change; never a deletion."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import orjson
import pytest
from hotjar_site import CSAT, NPS, START, Site, ids, question, response, rows, seed, site, survey
from sandbox_hub import Standing, standing, tundish

from connectors.hotjar import CONNECTOR
from connectors.hotjar_session import warnings
from connectors.sandbox.kit import Fault
from core.errors import CredentialsError, UserError, VendorError
from core.http import ReadOnlyError
from core.mapping import load_mapping
from core.pipeline import understand

MAPPING = load_mapping(Path("mappings/hotjar.yaml"), CONNECTOR, timezone="Europe/Berlin", currency="EUR")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def hourly(n: int, first: int = 0) -> list[dict[str, Any]]:
    """`n` responses, one an hour back from `first` hours before START."""
    return [response(i, HOUR * i, {"q1": "9"}) for i in range(first, first + n)]


def touches(pages: list[Any]) -> dict[str, dict[str, Any]]:
    """Unified records of the shipped mapping, by id."""
    compiled, found = MAPPING.resource("responses"), {}
    for page in pages:
        parsed = compiled.parse(page.body, page.rows)
        assert parsed.rejects == []
        for _, columns in compiled.columns(parsed.rows, page.context):
            found |= {
                r["vendor_id"]: r for r in (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
            }
    return found


def one(answers: dict[str, str | None], of: dict[str, Any] = CSAT, **more: Any) -> dict[str, Any]:
    with site(seed({of["id"]: [response(1, HOUR, answers, **more)]}, of)) as place:
        [touch] = touches(place.read("responses")).values()
    return touch


# -- reading whole -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("profile", ["hotjar", "contentsquare"])
def test_every_response_of_every_survey_comes_once_by_either_profile(profile: str) -> None:
    with site(seed({"1": hourly(250), "2": [response(900, HOUR, {"q3": "4"})]}), profile) as place:
        pages = place.read("responses")
        assert sorted(ids(pages)) == [*(f"r{i:05}" for i in range(250)), "r00900"]
        assert {p.context.get("survey_id") for p in pages if p.context} == {"1", "2"}
        assert len(rows(place.read("surveys"))) == 2


def test_exactly_a_page_and_nothing_at_all_end_as_well() -> None:
    with site(seed({"1": hourly(100)})) as place:
        assert len(ids(place.read("responses"))) == 100
    with site(seed({}, survey("1"))) as place:
        assert ids(place.read("responses")) == []


def test_more_surveys_than_a_page_are_read_with_their_questions() -> None:
    with site(seed({}, *(survey(str(i), question(f"q{i}", "nps")) for i in range(1, 231)))) as place:
        pages = place.read("surveys")
    assert sorted(map(int, ids(pages))) == list(range(1, 231))
    assert all(p.present for p in pages)
    assert {len(row["questions"]) for row in rows(pages)} == {1}


def test_discover_lists_the_questions_by_the_ids_that_answers_name() -> None:
    choice = question("q9", "single-option", "Why?") | {"choices": [{"text": "Price", "allow_comment": False}, "Other"]}
    with site(seed({}, NPS, survey("2", choice))) as place, place.open() as session:
        assert CONNECTOR.discover
        found = {f.path: (f.label, f.type, f.options) for f in CONNECTOR.discover(session).fields}
    assert found["q9"] == ("Survey 2: Why?", "single-option", ("Price", "Other"))
    assert set(found) == {"q1", "q2", "q9"}


# -- reading on ----------------------------------------------------------------------------------------------------------------
def test_later_only_what_may_still_change_is_read() -> None:
    with site(seed({"1": hourly(300)})) as place:
        state = place.read("responses")[-1].state
        place.clock.advance(3600)
        place.emulator.respond("1", "new", {"q1": "2"})
        place.emulator.complete("1", "r00020")
        again = place.read("responses", state)
        requests = place.emulator.calls["GET /v1/sites/3141592/surveys/1/responses"]
    assert ids(again) == ["new", *(f"r{i:05}" for i in range(25))]  # up to a day before the first read
    assert requests == 3 + 1


def test_a_change_within_the_settle_window_is_seen_and_a_later_one_within_a_week() -> None:
    with site(seed({"1": hourly(50)})) as place:
        state = place.read("responses")[-1].state
        place.emulator.tag("1", "r00010", "price", "negative")
        place.emulator.tag("1", "r00045", "late", "positive")
        soon = place.read("responses", state)
        tagged = {row["id"]: row["answers"][0]["sentiment"] for row in rows(soon)}
        assert (tagged["r00010"], tagged.get("r00045")) == ("negative", None)
        place.clock.advance(7 * 86_400)
        weekly = {row["id"]: row["answers"][0]["sentiment"] for row in rows(place.read("responses", soon[-1].state))}
    assert (weekly["r00045"], len(weekly)) == ("positive", 50)


def test_a_new_survey_is_read_whole_beside_the_known_ones() -> None:
    with site(seed({"1": hourly(60)}, NPS)) as place:
        state = place.read("responses")[-1].state
        place.emulator.add_survey(CSAT)
        place.emulator.responses["2"] = {r["id"]: r for r in [response(700, 90 * DAY, {"q3": "4"})]}
        assert "r00700" in ids(place.read("responses", state))


def test_a_first_read_can_be_limited() -> None:
    with site(seed({"1": hourly(300)})) as place:
        assert len(ids(place.read("responses", since=START - DAY))) == 25


def test_a_read_goes_on_after_any_page() -> None:
    with site(seed({"1": hourly(250), "2": [response(900 + i, HOUR * i, {"q3": "4"}) for i in range(120)]})) as place:
        pages = place.read("responses")
        for n, page in enumerate(pages[:-1]):
            state = orjson.loads(orjson.dumps(page.state))
            assert ids(place.read("responses", state)) == [i for p in pages[n + 1 :] for i in ids([p])]


def test_a_cursor_that_is_no_longer_known_begins_the_survey_again() -> None:
    with site(seed({"1": hourly(250)}, NPS)) as place:
        state = place.read("responses")[0].state
        state["at"]["cursor"] = "forgotten"
        assert len(set(ids(place.read("responses", state)))) == 250


# -- what a response says ----------------------------------------------------------------------------------------------------------
def test_a_score_is_the_touchs_value_and_its_kind_the_event() -> None:
    touch = one({"q2": "because", "q1": "9"}, NPS)
    assert (touch["kind"], touch["event"], touch["value"], touch["campaign_id"]) == ("response", "nps", Decimal(9), "1")
    assert touch["occurred_at"] == START - HOUR


@pytest.mark.parametrize(
    ("answers", "value", "event"),
    [
        ({"q3": None}, None, None),
        ({"q3": "very easy"}, None, None),
        ({"q9": "10"}, None, None),
        ({}, None, None),
        ({"q3": "4.5"}, Decimal("4.5"), "rating-1-5"),
    ],
)
def test_what_is_no_number_of_a_known_question_is_no_score(
    answers: dict[str, str | None], value: Decimal | None, event: str | None
) -> None:
    touch = one(answers)
    assert (touch["value"], touch["event"]) == (value, event)


def attributes(**traits: Any) -> dict[str, Any]:
    return {"user_attributes": [{"name": n, "value": v} for n, v in traits.items()]}


@pytest.mark.parametrize(
    ("answers", "traits", "email"),
    [
        ({"q4": " Ann@Acme.test "}, {}, "ann@acme.test"),
        ({"q4": "Ann@Acme.test"}, {"email": "known@acme.test"}, "ann@acme.test"),
        ({"q4": None, "q5": "bea@acme.test"}, {}, "bea@acme.test"),
        ({"q4": "no thanks"}, {"email": "known@acme.test"}, "known@acme.test"),
        ({"q4": "no @ thanks"}, {"email": 17}, None),
        ({"q3": "ann@acme.test"}, {}, None),
    ],
)
def test_the_address_is_what_was_typed_else_what_the_site_told(
    answers: dict[str, str | None], traits: dict[str, Any], email: str | None
) -> None:
    assert one(answers, **attributes(**traits))["email"] == email


def test_an_address_stands_in_no_attribute_and_what_was_typed_instead_of_one_does() -> None:
    assert "acme" not in one({"q3": "5", "q4": "ann@acme.test"})["attributes"]
    said = json.loads(one({"q4": "no thanks"})["attributes"])["answers"]
    assert [(a["question_id"], a["answer"], a["type"]) for a in said] == [("q4", "no thanks", "email")]


def test_an_analytics_id_the_site_told_joins_the_answer_to_the_visitor() -> None:
    assert one({"q3": "5"}, **attributes(ga_client_id="11.22", plan="pro"))["links"] == ("ga4:clients:11.22",)


def test_another_wording_of_a_question_changes_no_answer() -> None:
    before = one({"q3": "5"})
    reworded = CSAT | {"questions": [question("q3", "rating-1-5", "Wie leicht war's\n?"), *CSAT["questions"][1:]]}
    assert one({"q3": "5"}, reworded) == before


# -- tokens and refusals -----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("profile", ["hotjar", "contentsquare"])
def test_a_token_that_ends_in_the_middle_is_replaced_once(profile: str) -> None:
    with site(seed({"1": hourly(250)}, NPS), profile) as place:
        place.emulator.faults.append(Fault("expire", "responses", after=1))
        assert len(ids(place.read("responses"))) == 250
        assert place.emulator.calls["POST /v1/oauth/token"] == 2


def test_wrong_credentials_name_their_settings_and_are_not_tried_again_and_again() -> None:
    with site(seed({})) as place:
        with place.open(client_secret="mistyped") as session, pytest.raises(CredentialsError, match="client_secret") as caught:
            CONNECTOR.probe(session)
        assert "mistyped" not in str(caught.value)
        assert place.emulator.calls["POST /v1/oauth/token"] == 1


def test_a_wrong_site_and_a_small_plan_are_told_apart() -> None:
    with site(seed({})) as place:
        with place.open(site_id="12") as session, pytest.raises(VendorError, match="site_id"):
            CONNECTOR.probe(session)
        place.emulator.plan = False
        with place.open() as session, pytest.raises(VendorError, match="plan"):
            CONNECTOR.probe(session)


def test_an_unknown_profile_is_refused_with_those_there_are() -> None:
    with site(seed({})) as place, pytest.raises(UserError, match="contentsquare"), place.open(profile="hotjaar"):
        pass


# -- never a deletion ----------------------------------------------------------------------------------------------------------------
def everything(place: Site) -> Iterator[str]:
    """Do all that the connector can do."""
    with place.open() as session:
        assert CONNECTOR.discover
        yield f"{CONNECTOR.probe(session)} {CONNECTOR.discover(session)}"
    for resource in CONNECTOR.resources:
        for asked in ({}, {"full": True}, {"since": START - DAY}):
            yield str(len(place.read(resource.name, **asked)))


def test_nothing_the_connector_can_do_comes_near_the_deletion() -> None:
    with site(seed({"1": hourly(3)})) as place:
        done = list(everything(place))
        assert len(done) == 1 + 3 * len(CONNECTOR.resources)
        assert {path for method, path, _ in place.emulator.log if method != "GET"} == {"/v1/oauth/token"}
        assert place.emulator.lookups == []
    assert CONNECTOR.targets == ()
    assert not re.search("|".join(CONNECTOR.safe_posts), "/v1/organizations/1/user-lookup")


def test_who_tries_to_send_the_deletion_through_a_session_is_stopped_before_a_byte_leaves() -> None:
    with site(seed({"1": hourly(3)})) as place, place.open() as session:
        before = len(place.emulator.log)
        for path in ("/v1/organizations/1/user-lookup", "/v1/organizations/1/user-lookup/v1/oauth/token"):
            with pytest.raises(ReadOnlyError):
                session.transport.send("POST", place.url + path, body=b'{"data_subject_email": "a@acme.test", "delete_all_hits": true}')
        assert len(place.emulator.log) == before


def test_no_line_of_the_connector_names_the_call_or_its_flag() -> None:
    written = [p.read_text() for p in Path("connectors").glob("hotjar*.py")]
    assert len(written) == 3
    assert [word for word in ("lookup", "delete_all", "organizations", "data_subject") for text in written if word in text] == []


# -- the year of the credentials -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("created", "today", "said"),
    [
        (None, date(2026, 6, 30), ""),
        ("2026-01-31", date(2026, 6, 30), ""),
        ("2025-07-31", date(2026, 6, 30), ""),
        ("2025-07-30", date(2026, 6, 30), "end on 2026-07-30, in 30 days"),
        ("2025-07-01", date(2026, 6, 30), "end on 2026-07-01, in 1 days"),
        ("2025-06-30", date(2026, 6, 30), "ended on 2026-06-30"),
        ("last year", date(2026, 6, 30), "no date"),
    ],
)
def test_a_warning_comes_30_days_before_the_credentials_end(created: str | None, today: date, said: str) -> None:
    found = [text for text, step in warnings({"created": created} if created else {}, today) if step]
    assert len(found) == bool(said)
    assert said in "".join(found)


def test_check_shows_the_warning_and_stays_green(tmp_path: Path) -> None:
    with standing(tmp_path, vendors=["hotjar"]) as sandbox:
        quiet = tundish("--config", sandbox.config, "check", "--json")
        created = (sandbox.clock.utc() - timedelta(days=350)).date()
        sandbox.config.write_text(sandbox.config.read_text().replace("    settings:\n", f"    settings:\n      created: {created}\n"))
        warned = tundish("--config", sandbox.config, "check", "--json")
    assert (quiet.code, [c["text"] for c in quiet.json["checks"] if c["level"] == "warning"]) == (0, [])
    [warning] = [c for c in warned.json["checks"] if c["level"] == "warning"]
    assert (warned.code, warning["account"], "cannot be prolonged" in warning["text"]) == (0, "hotjar", True)


# -- the sandbox's company -----------------------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standing]:
    with standing(tmp_path_factory.mktemp("company"), size=60, vendors=["hotjar", "hubspot"]) as sandbox:
        assert tundish("--config", sandbox.config, "sync", "--json").code == 0
        yield sandbox


def test_answers_of_known_people_are_theirs_by_address_or_by_the_analytics_id_they_carry(company: Standing) -> None:
    found = understand(company.hub.line, "none", company.clock.utc(), store=False)
    members = {(m["account"], m["resource"], m["vendor_id"]): m["entity_id"] for m in found.members.to_pylist()}
    entity = {p["person"]: members[tuple(r)] for p in company.truth["people"] for r in p["records"] if r[:2] == ["hubspot", "contacts"]}
    given = {row["id"]: (s, row) for s, rows_ in company.emulators["hotjar"].responses.items() for row in rows_.values()}
    told = {}
    for web in company.truth["web"]:  # who is known by what he wrote, or by what the site had told Hotjar
        for survey_id in company.emulators["hotjar"].surveys:
            _, row = given.get(str(uuid5(NAMESPACE_URL, f"{survey_id}/{web['client_id']}")), (None, None))
            if row and web["person"] in entity and (row["user_attributes"] or any("@" in (a["answer"] or "") for a in row["answers"])):
                told[row["id"]] = entity[web["person"]]
    touches = found.facts["touches"].filter(lambda t: t.account == "hotjar").select("entity_id", "vendor_id").to_pyarrow().to_pylist()
    assert len(told) > 5
    assert {t["vendor_id"]: t["entity_id"] for t in touches} == told


def test_the_shipped_mapping_fits_and_the_world_fills_all_of_it(company: Standing) -> None:
    for kind, resource in (("campaign", "surveys"), ("touch", "responses")):
        table = company.hub.lake.current(kind)
        kept = table.filter(table.account == "hotjar", table.resource == resource).to_pyarrow()
        mapped = load_mapping(Path("mappings/hotjar.yaml"), CONNECTOR, timezone="UTC", currency="EUR").resource(resource).json.outputs[0]
        assert kept.num_rows == company.emulators["hotjar"].rows()[resource]
        assert [name for name in mapped.fields if kept[name].null_count == kept.num_rows] == []
        assert any(kept["links"].to_pylist()) == (resource == "responses")
