"""The emulated HubSpot refuses what HubSpot refuses; asked through the official client and over bare HTTP."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hubspot import HubSpot
from hubspot_account import OLD, TOKEN, opened, portal, thing

from connectors.sandbox.kit import Fault, control


def equal(name: str, value: str) -> list[dict[str, Any]]:
    return [{"filters": [{"propertyName": name, "operator": "EQ", "value": value}]}]


# -- reading ----------------------------------------------------------------------------------------------------------
def test_the_official_client_walks_the_whole_list_and_unset_columns_are_null() -> None:
    with opened(portal([thing(i, email=f"p{i}@x.test") for i in range(1, 231)])) as door:
        api = HubSpot(access_token=TOKEN, host=door.url, base_url=door.url).crm.contacts
        found = api.get_all(properties=["email", "lifecyclestage", "no_such_property"])
    assert [r.id for r in found] == [str(i) for i in range(1, 231)]
    assert found[0].properties == {
        "email": "p1@x.test",
        "lifecyclestage": None,
        "createdate": "2026-04-01T08:00:00Z",
        "lastmodifieddate": OLD,
        "hs_object_id": "1",
    }


def test_the_cursor_is_opaque_and_the_last_page_names_no_next_one() -> None:
    with opened(portal([thing(i) for i in range(1, 4)])) as door:
        _, first = door.ask("GET", "/crm/v3/objects/contacts", limit=2)
        after = first["paging"]["next"]["after"]
        _, last = door.ask("GET", "/crm/v3/objects/contacts", limit=2, after=after)
        refused, _ = door.ask("GET", "/crm/v3/objects/contacts", limit=2, after="3")
    assert not after.isdigit()
    assert [r["id"] for r in last["results"]] == ["3"]
    assert "paging" not in last
    assert refused == 400


@pytest.mark.parametrize(
    ("limit", "history", "status"), [(100, None, 200), (101, None, 400), (50, "email", 200), (51, "email", 400), (0, None, 400)]
)
def test_pages_are_limited_to_100_rows_and_to_50_with_history(limit: int, history: str | None, status: int) -> None:
    with opened(portal([thing(1, email="a@x.test")])) as door:
        got, _ = door.ask("GET", "/crm/v3/objects/contacts", limit=limit, propertiesWithHistory=history)
    assert got == status


def test_ready_pages_are_the_same_as_made_ones_and_follow_writes() -> None:
    rows = [thing(i, email=f"p{i}@x.test") for i in range(1, 6)]
    with opened(portal(rows)) as plain, opened(portal(rows), precomputed=True) as ready:
        for _ in range(2):
            assert ready.ask("GET", "/crm/v3/objects/contacts", limit=3) == plain.ask("GET", "/crm/v3/objects/contacts", limit=3)
        control(ready.url, "edit/update", type="contacts", id="1", properties={"firstname": "Ada"})
        _, body = ready.ask("GET", "/crm/v3/objects/contacts", limit=1, properties="firstname")
    assert body["results"][0]["properties"]["firstname"] == "Ada"


def test_keys_nobody_documented_appear_on_rows_and_pages() -> None:
    with opened(portal([thing(7), thing(100)])) as door:
        _, body = door.ask("GET", "/crm/v3/objects/contacts")
    assert "_futureKey" in body["results"][0]
    assert "_servedBy" in body


def test_a_record_can_be_read_by_its_email_and_inline_associations_come_along() -> None:
    links = [{"from_type": "contacts", "from_id": "1", "to_type": "companies", "to_id": "9", "type_id": 279}]
    seed = portal([thing(1, email="Ada@x.test")], objects={"companies": [thing(9, name="Acme")]}, associations=links)
    with opened(seed) as door:
        _, row = door.ask("GET", "/crm/v3/objects/contacts/ada@x.test", idProperty="email", associations="companies")
    assert row["id"] == "1"
    assert row["associations"] == {"companies": {"results": [{"id": "9", "type": "contact_to_company"}]}}


def test_batch_read_answers_207_and_names_what_is_missing() -> None:
    with opened(portal([thing(1), thing(2)])) as door:
        status, body = door.ask("POST", "/crm/v3/objects/contacts/batch/read", {"inputs": [{"id": "1"}, {"id": "5"}, {"id": "2"}]})
        too_many, _ = door.ask("POST", "/crm/v3/objects/contacts/batch/read", {"inputs": [{"id": str(i)} for i in range(101)]})
    assert (status, too_many) == (207, 400)
    assert body["errors"][0]["context"]["ids"] == ["5"]
    assert [r["id"] for r in body["results"]] == ["2", "1"]  # not the order asked for


def test_history_comes_newest_first_and_the_stage_timers_are_computed_from_it() -> None:
    with opened(portal([thing(1, lifecyclestage="lead", email="a@x.test")])) as door:
        door.emulator.clock.advance(60)
        door.ask("PATCH", "/crm/v3/objects/contacts/1", {"properties": {"lifecyclestage": "customer"}})
        asked = {"propertiesWithHistory": "lifecyclestage", "properties": "hs_v2_date_entered_customer,hs_v2_date_exited_lead"}
        _, row = door.ask("GET", "/crm/v3/objects/contacts/1", **asked)
    entries = row["propertiesWithHistory"]["lifecyclestage"]
    assert [e["value"] for e in entries] == ["customer", "lead"]
    assert row["properties"]["hs_v2_date_entered_customer"] == row["properties"]["hs_v2_date_exited_lead"] == entries[0]["timestamp"]


def test_timers_count_the_latest_stay_and_all_stays_in_a_stage() -> None:
    names = ("latest_time_in_lead", "cumulative_time_in_lead", "time_in_current_stage", "cumulative_time_in_subscriber")
    with opened(portal([thing(1, email="a@x.test")])) as door:
        for stage, seconds in (("lead", 60), ("", 5), ("customer", 100), ("", 5), ("lead", 30)):
            door.ask("PATCH", "/crm/v3/objects/contacts/1", {"properties": {"lifecyclestage": stage}})
            door.emulator.clock.advance(seconds)
        _, row = door.ask("GET", "/crm/v3/objects/contacts/1", properties=",".join(f"hs_v2_{n}" for n in names))
    assert [row["properties"][f"hs_v2_{n}"] for n in names] == ["30000", "90000", "30000", None]


# -- search -----------------------------------------------------------------------------------------------------------
def test_search_filters_sorts_and_counts_the_true_total() -> None:
    rows = [thing(i, email=f"p{i}@x.test", city="Bonn" if i % 2 else "Köln", hubspotscore=str(i)) for i in range(1, 31)]
    with opened(portal(rows)) as door:
        sorts = [{"propertyName": "hubspotscore", "direction": "DESCENDING"}]
        _, body = door.search(filterGroups=equal("city", "bonn"), sorts=sorts, limit=2, properties=["hubspotscore"])
        between = [{"filters": [{"propertyName": "hubspotscore", "operator": "BETWEEN", "value": "5", "highValue": "7"}]}]
        _, window = door.search(filterGroups=between)
        _, either = door.search(filterGroups=[*equal("email", "p3@x.test"), *equal("email", "p4@x.test")])
        _, unset = door.search(filterGroups=[{"filters": [{"propertyName": "phone", "operator": "NOT_HAS_PROPERTY"}]}])
    assert (body["total"], [r["id"] for r in body["results"]], body["paging"]["next"]["after"]) == (15, ["29", "27"], "2")
    assert [r["id"] for r in window["results"]] == ["5", "6", "7"]
    assert (either["total"], unset["total"]) == (2, 30)


def test_search_refuses_to_page_past_ten_thousand_but_counts_them_all() -> None:
    with opened(portal([thing(i) for i in range(1, 10_202)])) as door:
        ok, body = door.search(limit=200, after="9800")
        refused, error = door.search(limit=200, after="9801")
    assert (ok, body["total"], len(body["results"])) == (200, 10_201, 200)
    assert (refused, error["category"]) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 201},
        {"filterGroups": [{"filters": []}] * 6},
        {"filterGroups": [{"filters": [{"propertyName": "email", "operator": "HAS_PROPERTY"}] * 7}]},
        {"filterGroups": [{"filters": [{"propertyName": "email", "operator": "LIKE", "value": "x"}]}]},
        {"sorts": [{"propertyName": "email"}, {"propertyName": "city"}]},
        {"after": "abc"},
        {"query": "x" * 3001},
    ],
)
def test_search_refuses_what_is_out_of_bounds(body: dict[str, Any]) -> None:
    with opened(portal([thing(1)])) as door:
        status, error = door.search(**body)
    assert (status, error["category"]) == (400, "VALIDATION_ERROR")


def test_ids_can_be_ordered_as_text_by_the_server() -> None:
    with opened(portal([thing(719869649082), thing(7199), thing(8)]), text_ids=True) as door:
        sorts = [{"propertyName": "hs_object_id", "direction": "ASCENDING"}]
        after = [{"filters": [{"propertyName": "hs_object_id", "operator": "GT", "value": "719869649082"}]}]
        _, body = door.search(filterGroups=after, sorts=sorts)
    assert [r["id"] for r in body["results"]] == ["7199", "8"]


def test_a_lagging_index_shows_records_as_they_were() -> None:
    with opened(portal([thing(1, email="old@x.test")])) as door:
        door.ask("PATCH", "/crm/v3/objects/contacts/1", {"properties": {"email": "new@x.test"}})
        door.ask("POST", "/crm/v3/objects/contacts", {"properties": {"email": "fresh@x.test"}})
        door.emulator.faults.append(Fault("lag", times=-1, seconds=30))
        _, late = door.search(properties=["email"])
        door.emulator.clock.advance(60)
        _, now = door.search(properties=["email"])
    assert [r["properties"]["email"] for r in late["results"]] == ["old@x.test"]
    assert sorted(r["properties"]["email"] for r in now["results"]) == ["fresh@x.test", "new@x.test"]


def test_archived_records_are_in_their_own_list_only_and_keep_their_stamp() -> None:
    with opened(portal([thing(1), thing(2)])) as door:
        door.ask("POST", "/crm/v3/objects/contacts/batch/archive", {"inputs": [{"id": "2"}, {"id": "99"}]})
        _, live = door.ask("GET", "/crm/v3/objects/contacts")
        _, gone = door.ask("GET", "/crm/v3/objects/contacts", archived="True")
        _, found = door.search()
    assert ([r["id"] for r in live["results"]], found["total"]) == (["1"], 1)
    row = gone["results"][0]
    assert (row["id"], row["archived"], row["updatedAt"]) == ("2", True, OLD)
    assert row["archivedAt"].startswith("2026-05-28")


# -- writing ----------------------------------------------------------------------------------------------------------
def update(*inputs: dict[str, Any], trace: bool = False) -> dict[str, Any]:
    return {"inputs": [{**i, **({"objectWriteTraceId": f"t{n}"} if trace else {})} for n, i in enumerate(inputs)]}


def test_one_bad_input_is_named_by_its_trace_id_and_refuses_the_batch_without_one() -> None:
    good, bad = {"id": "1", "properties": {"firstname": "Ada"}}, {"id": "2", "properties": {"nonsense": "x"}}
    with opened(portal([thing(1), thing(2)])) as door:
        whole, error = door.ask("POST", "/crm/v3/objects/contacts/batch/update", update(good, bad))
        untouched = door.emulator.dump()["objects"]["contacts"]["1"]["properties"]
        partly, body = door.ask("POST", "/crm/v3/objects/contacts/batch/update", update(good, bad, trace=True))
    assert (whole, error["errors"][0]["code"], untouched) == (400, "PROPERTY_DOESNT_EXIST", {})
    assert (partly, body["numErrors"]) == (207, 1)
    assert body["errors"][0]["context"]["objectWriteTraceId"] == ["t1"]
    assert [r["objectWriteTraceId"] for r in body["results"]] == ["t0"]


def test_an_address_that_exists_is_a_conflict_that_names_its_owner() -> None:
    with opened(portal([thing(1, email="a@x.test"), thing(2, email="b@x.test")])) as door:
        status, error = door.ask("POST", "/crm/v3/objects/contacts", {"properties": {"email": "A@x.test"}})
        batch, _ = door.ask("POST", "/crm/v3/objects/contacts/batch/create", {"inputs": [{"properties": {"email": "a@x.test"}}]})
    assert (status, error["category"], error["message"]) == (409, "CONFLICT", "Contact already exists. Existing ID: 1")
    assert batch == 409


@pytest.mark.parametrize(
    ("kind", "properties", "code"),
    [
        ("contacts", {"hs_object_id": "5"}, "READ_ONLY_VALUE"),
        ("contacts", {"lifecyclestage": "nonsense"}, "INVALID_OPTION"),
        ("contacts", {"email": "not an address"}, "INVALID_EMAIL"),
        ("deals", {"amount": "a lot"}, "INVALID_NUMBER"),
        ("deals", {"dealstage": "new-stage-id"}, "INVALID_OPTION"),
    ],
)
def test_values_that_do_not_fit_are_refused_with_a_code(kind: str, properties: dict[str, str], code: str) -> None:
    deal = thing(1, pipeline="default", dealstage="contractsent")
    with opened(portal([thing(1)], objects={"deals": [deal]})) as door:
        status, error = door.ask("PATCH", f"/crm/v3/objects/{kind}/1", {"properties": properties})
    assert (status, error["errors"][0]["code"]) == (400, code)


def test_a_life_cycle_stage_never_moves_back_unless_it_was_cleared() -> None:
    def write(value: str) -> str | None:
        status, _ = door.ask("PATCH", "/crm/v3/objects/contacts/1", {"properties": {"lifecyclestage": value}})
        assert status == 200
        found: str | None = door.ask("GET", "/crm/v3/objects/contacts/1", properties="lifecyclestage")[1]["properties"]["lifecyclestage"]
        return found

    with opened(portal([thing(1, lifecyclestage="opportunity")])) as door:
        assert write("lead") == "opportunity"
        assert write("") is None
        assert write("lead") == "lead"


def test_closing_a_deal_fills_its_close_date_and_its_flags() -> None:
    with opened(portal(objects={"deals": [thing(1, pipeline="default", dealstage="contractsent", amount="10")]})) as door:
        door.ask("PATCH", "/crm/v3/objects/deals/1", {"properties": {"dealstage": "closedwon"}})
        _, row = door.ask("GET", "/crm/v3/objects/deals/1", properties="closedate,hs_is_closed,hs_is_closed_won,hs_deal_stage_probability")
    got = row["properties"]
    assert got["closedate"] == got["hs_lastmodifieddate"] == row["updatedAt"]
    assert (got["hs_is_closed"], got["hs_is_closed_won"], got["hs_deal_stage_probability"]) == ("true", "true", "1.0")


def test_a_merged_record_vanishes_and_its_survivor_names_it() -> None:
    seed = portal([thing(1, email="a@x.test"), thing(2, email="b@x.test", phone="7")], objects={"companies": [thing(1), thing(2)]})
    with opened(seed, merge_mints_ids=True) as door:
        door.ask("POST", "/crm/v3/objects/contacts/merge", {"primaryObjectId": "1", "objectIdToMerge": "2"})
        _, kept = door.ask("POST", "/crm/v3/objects/companies/merge", {"primaryObjectId": "1", "objectIdToMerge": "2"})
        _, live = door.ask("GET", "/crm/v3/objects/contacts", properties="hs_merged_object_ids,phone")
        _, dead = door.ask("GET", "/crm/v3/objects/contacts", archived="true")
        _, old = door.ask("GET", "/crm/v3/objects/contacts/2")
        _, companies = door.ask("GET", "/crm/v3/objects/companies")
    assert [(r["id"], r["properties"]["hs_merged_object_ids"], r["properties"]["phone"]) for r in live["results"]] == [("1", "2", "7")]
    assert (dead["results"], old["id"]) == ([], "1")
    assert [r["id"] for r in companies["results"]] == [kept["id"]] != ["1"]


def test_upsert_by_email_creates_or_updates_and_a_plain_property_is_no_key() -> None:
    inputs = [{"id": e, "idProperty": "email", "properties": {"firstname": "N"}} for e in ("a@x.test", "new@x.test")]
    with opened(portal([thing(1, email="a@x.test")])) as door:
        status, body = door.ask("POST", "/crm/v3/objects/contacts/batch/upsert", {"inputs": inputs})
        by_city = {"inputs": [{"id": "Bonn", "idProperty": "city", "properties": {}}]}
        refused, _ = door.ask("POST", "/crm/v3/objects/contacts/batch/update", by_city)
    assert (status, sorted(r["new"] for r in body["results"]), refused) == (200, [False, True], 400)


# -- around the records -----------------------------------------------------------------------------------------------
def test_properties_need_their_group_and_exist_once() -> None:
    new = {"name": "tundish_stage", "label": "Stage", "groupName": "tundish", "type": "string", "fieldType": "text"}
    with opened(portal([thing(1)])) as door:
        statuses = [door.ask("POST", "/crm/v3/properties/contacts", new)[0]]
        statuses.append(door.ask("POST", "/crm/v3/properties/contacts/groups", {"name": "tundish", "label": "Tundish"})[0])
        statuses += [door.ask("POST", "/crm/v3/properties/contacts", new)[0] for _ in range(2)]
    assert statuses == [400, 201, 201, 409]


def test_a_fresh_portal_has_the_usual_group_and_its_pipelines_can_be_asked_for_singly() -> None:
    new = {"name": "tier", "label": "Tier", "groupName": "contactinformation", "type": "string", "fieldType": "text"}
    with opened(portal([thing(1)])) as door:
        made, _ = door.ask("POST", "/crm/v3/properties/contacts", new)
        _, one = door.ask("GET", "/crm/v3/pipelines/deals/default")
        _, stages = door.ask("GET", "/crm/v3/pipelines/deals/default/stages")
        missing, _ = door.ask("GET", "/crm/v3/pipelines/deals/none")
    assert (made, one["id"], len(stages["results"]), missing) == (201, "default", 7, 404)
    assert stages["results"] == one["stages"]


def test_archived_owners_come_only_when_asked_for() -> None:
    owners = [{"id": str(i), "email": f"o{i}@x.test", "userId": i, "archived": i == 3} for i in range(1, 4)]
    with opened(portal(owners=owners)) as door:
        _, active = door.ask("GET", "/crm/v3/owners", limit=1)
        _, gone = door.ask("GET", "/crm/v3/owners", archived="true")
    assert ([o["id"] for o in active["results"]], "paging" in active) == (["1"], True)
    assert [(o["id"], o["userId"]) for o in gone["results"]] == [("3", None)]


def test_edges_of_a_busy_record_come_in_pages_and_lonely_records_as_errors() -> None:
    links = [{"from_type": "companies", "from_id": "9", "to_type": "contacts", "to_id": str(i), "type_id": 280} for i in range(1, 6)]
    with opened(portal([thing(i) for i in range(1, 6)], objects={"companies": [thing(8), thing(9)]}, associations=links)) as door:
        door.emulator.links.page_size = 2
        path, seen, after = "/crm/v4/associations/companies/contacts/batch/read", [], None
        for _ in range(3):
            inputs = [{"id": "9", **({"after": after} if after else {})}, {"id": "8"}]
            status, body = door.ask("POST", path, {"inputs": inputs})
            seen += [edge["toObjectId"] for edge in body["results"][0]["to"]]
            after = body["results"][0].get("paging", {}).get("next", {}).get("after")
        door.ask("PUT", "/crm/v4/objects/contacts/1/associations/default/companies/8")
        _, back = door.ask("GET", "/crm/v4/objects/contacts/1/associations/companies")
        unchanged = door.emulator.dump()["objects"]["contacts"]["1"]["updatedAt"]
    assert (seen, after, status) == (["1", "2", "3", "4", "5"], None, 207)
    assert [e["toObjectId"] for e in back["results"]] == ["8", "9"]
    assert back["results"][0]["associationTypes"] == [{"category": "HUBSPOT_DEFINED", "typeId": 279, "label": None}]
    assert unchanged == OLD


def test_events_are_found_by_type_and_time() -> None:
    events = [
        {"id": str(i), "objectType": "CONTACT", "objectId": "1", "eventType": "form", "occurredAt": f"2026-05-0{i}T00:00:00Z"}
        for i in (1, 2)
    ]
    with opened(portal(events=events)) as door:
        _, body = door.ask("GET", "/events/v3/events", eventType="form", occurredAfter="2026-05-01T00:00:00Z")
    assert [e["id"] for e in body["results"]] == ["2"]


# -- tokens and limits --------------------------------------------------------------------------------------------------
def test_an_expired_token_and_a_wrong_one_are_told_apart() -> None:
    grant = {"grant_type": "refresh_token", "client_id": "hub-client", "client_secret": "hub-secret", "refresh_token": "hub-refresh"}
    with opened(portal([thing(1)])) as door:
        _, given = door.form("/oauth/v1/token", **grant)
        door.token = given["access_token"]
        assert door.ask("GET", "/crm/v3/owners")[0] == 200
        assert door.ask("GET", f"/oauth/v1/access-tokens/{door.token}")[1]["expires_in"] == 1800
        door.emulator.clock.advance(1801)
        expired = door.ask("GET", "/crm/v3/owners")
        door.token = "garbage"
        wrong = door.ask("GET", "/crm/v3/owners")
        bad = door.form("/oauth/v1/token", **{**grant, "refresh_token": "revoked"})
    assert (expired[0], expired[1]["category"]) == (401, "EXPIRED_AUTHENTICATION")
    assert (wrong[0], wrong[1]["category"]) == (401, "INVALID_AUTHENTICATION")
    assert (bad[0], bad[1]["status"]) == (400, "BAD_REFRESH_TOKEN")


def test_a_scope_can_be_taken_away() -> None:
    with opened(portal([thing(1)])) as door:
        control(door.url, "edit/take_scope", scope="crm.objects.contacts.read")
        status, error = door.search()
        write, _ = door.ask("PATCH", "/crm/v3/objects/contacts/1", {"properties": {"city": "Bonn"}})
    assert (status, error["category"], write) == (403, "MISSING_SCOPES", 200)
    assert error["errors"][0]["context"]["requiredGranularScopes"] == ["crm.objects.contacts.read"]


def test_the_limits_are_those_of_a_private_app_and_searches_have_their_own() -> None:
    now = [0.0]
    with opened(portal([thing(1)]), limits=True, ticks=lambda: now[0]) as door:
        searches = [door.search()[0] for _ in range(6)]
        refused = door.reply("POST", "/crm/v3/objects/contacts/search", {})
        burst = [door.reply("GET", "/crm/v3/owners") for _ in range(191)]
        now[0] = 10.1
        after = door.search()[0], door.ask("GET", "/crm/v3/owners")[0]
        door.emulator.daily_left = 0
        _, day = door.ask("GET", "/crm/v3/owners")
    assert searches == [200] * 5 + [429]
    assert orjson.loads(refused.data)["policyName"] == "SECONDLY"
    assert not [h for h in refused.headers if h.lower().startswith("x-hubspot-ratelimit")]
    assert [r.status for r in burst] == [200] * 190 + [429]
    assert (burst[0].headers["X-HubSpot-RateLimit-Max"], burst[0].headers["X-HubSpot-RateLimit-Remaining"]) == ("190", "189")
    assert orjson.loads(burst[-1].data)["policyName"] == "TEN_SECONDLY_ROLLING"
    assert after == (200, 200)
    assert day["policyName"] == "DAILY"


def test_the_control_door_edits_as_a_user_would() -> None:
    with opened(portal([thing(i, email=f"p{i}@x.test") for i in range(1, 4)])) as door:
        at = "2026-06-01T00:00:00Z"
        control(door.url, "edit/touch_many", type="contacts", ids=["1", "2"], properties={"city": "Bonn"}, at=at)
        control(door.url, "edit/merge", type="contacts", winner="1", loser="3")
        state = control(door.url, "dump")
    assert [state["objects"]["contacts"][i]["properties"]["city"] for i in ("1", "2")] == ["Bonn", "Bonn"]
    assert state["objects"]["contacts"]["2"]["updatedAt"] == at
    assert state["merged"]["contacts"] == {"3": "1"}
