"""Vendors' own clients over the transport: every byte goes through it, and our errors come out of them untouched."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import orjson
import pytest
import requests
import responses
from mailchimp_marketing import Client as Mailchimp
from scripted_vendor import Answer, Token, serve, transport
from simple_salesforce import Salesforce

from core.errors import CredentialsError, VendorError, VendorUnavailable
from core.http import ReadOnlyError, Transport
from core.http_adapters import swagger_request, unwrapped

JSON = {"Content-Type": "application/json"}


@pytest.fixture(autouse=True)
def _no_way_around() -> Iterator[None]:
    """Anything that reaches requests' own adapter fails the test."""
    with responses.RequestsMock():
        yield


def salesforce(t: Transport, url: str) -> Salesforce:
    t.rewrite("https://acme.my.salesforce.com", url)
    return Salesforce(instance="acme.my.salesforce.com", session_id="stale", version="66.0", session=t.requests_session())


def mailchimp(t: Transport, url: str) -> Mailchimp:
    client = Mailchimp({"api_key": "key-us1", "server": "server"})
    client.api_client.host = f"{url}/3.0"
    client.api_client.request = swagger_request(t)
    client.api_client.call_api = unwrapped(client.api_client.call_api)
    return client


def hubspot(t: Transport, url: str):  # type: ignore[no-untyped-def]
    from hubspot import HubSpot

    api = HubSpot(access_token="stale", host=url).crm.contacts.basic_api
    api.api_client.rest_client.pool_manager = t.urllib3_pool()
    return api


# -- requests -------------------------------------------------------------------------------------------------------
def test_a_session_reads_like_any_requests_session() -> None:
    with serve(Answer(200, '{"name":"Zoë"}'.encode(), {"Content-Type": "application/json"}, zipped=True)) as vendor, transport() as t:
        reply = t.requests_session().get(f"{vendor.url}/x", params={"a": "1 2"}, timeout=1)
    assert reply.json() == {"name": "Zoë"}
    assert (reply.ok, reply.status_code, reply.reason) == (True, 200, "OK")
    assert b"".join(reply.iter_content(4)) == reply.content
    assert vendor.asked[0].path == "/x?a=1+2"


@pytest.mark.parametrize("body", ["text", b"text", io.BytesIO(b"text"), iter([b"te", b"xt"])])
def test_a_session_sends_any_kind_of_body_again_after_a_failure(body: object) -> None:
    with serve(Answer(429), Answer()) as vendor, transport(writes=True) as t:
        t.requests_session().put(f"{vendor.url}/x", data=body)  # type: ignore[arg-type]
    assert [a.body for a in vendor.asked] == [b"text", b"text"]


def test_a_session_raises_our_errors() -> None:
    with serve(Answer(400, b"no such field")) as vendor, transport() as t:
        with pytest.raises(VendorError, match="no such field"):
            t.requests_session().get(f"{vendor.url}/x")
        with pytest.raises(ReadOnlyError):
            t.requests_session().post(f"{vendor.url}/x", json={})
    assert len(vendor.asked) == 1


def test_a_session_returns_an_expected_status() -> None:
    with serve(Answer(404, b"gone")) as vendor, transport() as t, t.expecting(404), pytest.raises(requests.HTTPError):
        t.requests_session().get(f"{vendor.url}/x").raise_for_status()


# -- simple-salesforce ----------------------------------------------------------------------------------------------
def test_salesforce_reaches_the_rewritten_host_with_the_transports_token() -> None:
    page = Answer(200, b'{"totalSize":0,"done":true,"records":[]}', JSON)
    with serve(page, page) as vendor, transport() as t:
        t.credentials = Token()
        client = salesforce(t, vendor.url)
        assert client.query("SELECT Id FROM Lead")["done"] is True
        client.Lead.describe()
    assert [a.headers["authorization"] for a in vendor.asked] == ["Bearer secret-token-1"] * 2


SALESFORCE_CALLS: tuple[Callable[[Salesforce], object], ...] = (
    lambda client: client.query("SELECT Id FROM Lead"),
    lambda client: client.Lead.describe(),
    lambda client: list(client.bulk2.Lead.query("SELECT Id FROM Lead")),
)


@pytest.mark.parametrize("call", SALESFORCE_CALLS)
@pytest.mark.parametrize(("status", "kind"), [(400, VendorError), (401, CredentialsError), (460, VendorUnavailable)])
def test_salesforce_lets_our_errors_through(status: int, kind: type[Exception], call: Callable[[Salesforce], object]) -> None:
    with serve(Answer(status, b"[]", JSON)) as vendor, transport(safe_posts=["/jobs/query$"]) as t, pytest.raises(kind):
        call(salesforce(t, vendor.url))


def test_salesforce_cannot_write_when_only_reading() -> None:
    with serve() as vendor, transport() as t, pytest.raises(ReadOnlyError):
        salesforce(t, vendor.url).Lead.update("00Q", {"LastName": "X"})
    assert vendor.asked == []


# -- mailchimp-marketing --------------------------------------------------------------------------------------------
def test_mailchimp_pages_arrive_as_bytes() -> None:
    with serve(Answer(200, b'{"members":[]}', JSON), Answer(204, b"")) as vendor, transport(writes=True) as t:
        t.credentials = Token()
        client = mailchimp(t, vendor.url)
        reply = client.lists.get_list_members_info("abc", count=1000, fields=["members.id", "total_items"])
        assert orjson.loads(reply.content) == {"members": []}
        assert client.lists.update_list_member_tags("abc", "joe@example.com", {"tags": []}).status_code == 204
    assert vendor.asked[0].path == "/3.0/lists/abc/members?fields=members.id%2Ctotal_items&count=1000"
    assert orjson.loads(vendor.asked[1].body) == {"tags": []}
    assert vendor.asked[0].headers["authorization"] == "Bearer secret-token-1"


@pytest.mark.parametrize(("status", "kind"), [(400, VendorError), (401, CredentialsError), (460, VendorUnavailable)])
def test_mailchimp_lets_our_errors_through(status: int, kind: type[Exception]) -> None:
    with serve(Answer(status, b"")) as vendor, transport() as t, pytest.raises(kind):
        mailchimp(t, vendor.url).lists.get_all_lists()


# -- hubspot-api-client ---------------------------------------------------------------------------------------------
def test_hubspot_pages_arrive_as_the_same_bytes_without_a_copy() -> None:
    with serve(Answer(200, b'{"results":[]}', JSON)) as vendor, transport() as t:
        t.credentials = Token()
        kept = []
        send = t.send
        t.send = lambda *a, **k: kept.append(send(*a, **k)) or kept[-1]  # type: ignore[method-assign,func-returns-value]
        reply = hubspot(t, vendor.url).get_page(limit=100, properties=["email", "lastname"], _preload_content=False)
    assert reply.data is kept[0].data
    assert vendor.asked[0].path == "/crm/v3/objects/contacts?limit=100&properties=email&properties=lastname"
    assert vendor.asked[0].headers["authorization"] == "Bearer secret-token-1"


def test_hubspot_can_still_make_its_models() -> None:
    page = b'{"results":[{"id":"1","properties":{"email":"x"},"createdAt":"2026-01-01T00:00:00Z","updatedAt":"2026-01-01T00:00:00Z"}]}'
    with serve(Answer(200, page, JSON)) as vendor, transport() as t:
        assert hubspot(t, vendor.url).get_page().results[0].id == "1"


@pytest.mark.parametrize(("status", "kind"), [(400, VendorError), (401, CredentialsError), (404, VendorError), (460, VendorUnavailable)])
def test_hubspot_lets_our_errors_through(status: int, kind: type[Exception]) -> None:
    with serve(Answer(status, b"{}", JSON)) as vendor, transport() as t, pytest.raises(kind):
        hubspot(t, vendor.url).get_page(_preload_content=False)


def test_hubspot_writes_json_and_forms() -> None:
    with serve() as vendor, transport(writes=True) as t:
        hubspot(t, vendor.url).update("1", {"properties": {"email": "x"}}, _preload_content=False)
        t.urllib3_pool().request("POST", f"{vendor.url}/oauth", fields=[("a", "1 2")], encode_multipart=False)
    assert orjson.loads(vendor.asked[0].body) == {"properties": {"email": "x"}}
    assert vendor.asked[1].body == b"a=1+2"
