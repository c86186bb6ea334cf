from __future__ import annotations

import logging
import threading

import pytest
from scripted_vendor import Answer, Token, Watch, serve, transport

from core.connector import Bucket
from core.errors import CredentialsError, UserError, VendorError, VendorUnavailable
from core.http import Event, ReadOnlyError
from core.http_wire import locate
from core.redaction import RedactingFilter, redact

BUSY = Answer(429, b"too many")
DOWN = Answer(502, b"<html>bad gateway</html>")


# -- what comes back ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("status", [200, 201, 207])
def test_every_2xx_is_a_reply_and_207_is_one(status: int) -> None:
    with serve(Answer(status, b'{"a":1}', {"X-Name": "v"})) as vendor, transport() as t:
        reply = t.send("GET", f"{vendor.url}/x?limit=1")
    assert (reply.status, reply.data, reply.headers["x-name"]) == (status, b'{"a":1}', "v")


def test_a_refusal_raises_with_status_code_place_and_sentence() -> None:
    with serve(Answer(400, b"property x does not exist")) as vendor, transport() as t, pytest.raises(VendorError) as raised:
        t.send("GET", f"{vendor.url}/crm/contacts?email=joe@example.com")
    error = raised.value
    assert (error.status, error.code, error.message) == (400, "CODE_400", "property x does not exist")
    assert error.where == "acme GET /crm/contacts"
    assert len(vendor.asked) == 1


@pytest.mark.parametrize(("status", "kind"), [(401, CredentialsError), (403, VendorError), (404, VendorError), (460, VendorUnavailable)])
def test_what_waiting_cannot_mend_is_not_tried_twice(status: int, kind: type[Exception]) -> None:
    watch = Watch()
    with serve(Answer(status)) as vendor, transport(watch) as t, pytest.raises(kind):
        t.send("GET", f"{vendor.url}/x")
    assert len(vendor.asked) == 1
    assert watch.slept == []


def test_an_exhausted_allowance_stops_the_next_call_before_it_leaves() -> None:
    with serve(Answer(460, b"the day is over")) as vendor, transport() as t:
        for _ in range(2):
            with pytest.raises(VendorUnavailable, match="the day is over"):
                t.send("GET", f"{vendor.url}/x")
        assert len(vendor.asked) == 1


def test_expected_statuses_come_back_by_argument_and_by_context() -> None:
    with serve(Answer(404), Answer(404), Answer(404)) as vendor, transport() as t:
        assert t.send("GET", f"{vendor.url}/x", expect={404}).status == 404
        with t.expecting(404):
            assert t.send("GET", f"{vendor.url}/x").status == 404
        with pytest.raises(VendorError):
            t.send("GET", f"{vendor.url}/x")


# -- trying again ---------------------------------------------------------------------------------------------------
def test_a_throttled_call_waits_as_long_as_the_vendor_says() -> None:
    watch = Watch()
    with serve(Answer(429, b"busy", {"Retry-After": "7"})) as vendor, transport(watch) as t:
        t.send("GET", f"{vendor.url}/x")
        assert t.spent()["retries"] == 1
        assert t.spent()["waits_s"] == 7
    assert watch.slept == [7.0]


def test_a_retry_after_in_milliseconds_is_not_believed() -> None:
    watch = Watch()
    with serve(Answer(429, b"busy", {"Retry-After": "10000"})) as vendor, transport(watch) as t:
        t.send("GET", f"{vendor.url}/x")
    assert watch.slept == [2.0]


def test_without_a_hint_waits_grow_and_are_full_jitter() -> None:
    watch = Watch()
    with serve(*[BUSY] * 5) as vendor, transport(watch) as t:
        t.send("GET", f"{vendor.url}/x")
    assert watch.slept == [2, 4, 8, 16, 30]
    watch = Watch()
    with serve(*[DOWN] * 3) as vendor, transport(watch, rng=lambda: 0.5) as t:
        t.send("GET", f"{vendor.url}/x")
    assert watch.slept == [0.25, 0.5, 1]


def test_a_throttled_bucket_rests_as_a_whole() -> None:
    watch = Watch()
    with serve(Answer(429, b"busy", {"Retry-After": "9"})) as vendor, transport(watch) as t:
        t._sleep = lambda seconds: None  # as if by another thread, which has not slept off this refusal
        t.send("GET", f"{vendor.url}/x")
    assert watch.slept == [9.0]


def test_attempts_end_with_what_the_vendor_said_last() -> None:
    with serve(*[DOWN] * 3) as vendor, transport(attempts=3) as t, pytest.raises(VendorUnavailable, match=r"bad gateway.*3 attempts"):
        t.send("GET", f"{vendor.url}/x")
    assert len(vendor.asked) == 3


@pytest.mark.parametrize("broken", [Answer(200, b"x" * 5000, cut=True), Answer(drop=True), Answer(200, b"y" * 9000, zipped=True, cut=True)])
def test_a_cut_answer_is_read_again(broken: Answer) -> None:
    with serve(broken, Answer(200, b"whole")) as vendor, transport() as t:
        assert t.send("GET", f"{vendor.url}/x").data == b"whole"
    assert len(vendor.asked) == 2


def test_a_cut_chunked_answer_is_read_again() -> None:
    chunked = Answer(200, b"5\r\nhello\r\n5\r\nwor", {"Transfer-Encoding": "chunked", "Content-Length": ""})
    with serve(chunked, Answer(200, b"whole")) as vendor, transport() as t:
        assert t.send("GET", f"{vendor.url}/x").data == b"whole"


def test_a_cut_compressed_answer_without_a_length_is_noticed() -> None:
    page = bytes(range(256)) * 100
    with (
        serve(Answer(200, page, {"Content-Length": ""}, zipped=True, cut=True), Answer(200, page, zipped=True)) as vendor,
        transport() as t,
    ):
        assert t.send("GET", f"{vendor.url}/x").data == page
    assert len(vendor.asked) == 2


def test_silence_is_given_up_and_tried_again() -> None:
    with serve(Answer(silent=True), Answer(200, b"late")) as vendor, transport(timeout_s=(1, 0.05)) as t:
        assert t.send("GET", f"{vendor.url}/x").data == b"late"


def test_a_vendor_nobody_listens_for_is_unavailable() -> None:
    with serve() as vendor:
        closed = vendor.url
    with transport(attempts=2) as t, pytest.raises(VendorUnavailable, match=r"cannot connect to 127.0.0.1"):
        t.send("GET", f"{closed}/x")


# -- writes ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_transport_for_reading_sends_no_write(method: str) -> None:
    with serve() as vendor, transport(safe_posts=["/search$"]) as t:
        with pytest.raises(ReadOnlyError) as raised:
            t.send(method, f"{vendor.url}/contacts", body=b"{}")
        with pytest.raises(ReadOnlyError):
            t.send("GET", f"{vendor.url}/contacts", headers={"X-HTTP-Method-Override": method})
        assert vendor.asked == []
    assert raised.value.exit_code == 1


def test_a_post_that_only_reads_passes() -> None:
    with serve() as vendor, transport(safe_posts=["/search$"]) as t:
        t.send("POST", f"{vendor.url}/contacts/search?x=1", body=b"{}")
        t.send("POST", f"{vendor.url}/anything", body=b"{}", safe=True)
        with pytest.raises(ReadOnlyError):
            t.send("DELETE", f"{vendor.url}/contacts/search")
    assert len(vendor.asked) == 2


def test_a_post_cut_after_it_was_sent_is_not_sent_again() -> None:
    for broken in (Answer(drop=True), Answer(200, b"x" * 5000, cut=True), DOWN):
        with serve(broken) as vendor, transport(writes=True) as t, pytest.raises(VendorUnavailable, match="unknown") as raised:
            t.send("POST", f"{vendor.url}/contacts", body=b"{}")
        assert len(vendor.asked) == 1
        assert "reads the records back" in raised.value.next_step


def test_writes_that_may_be_repeated_are() -> None:
    with serve(*[Answer(drop=True)] * 3) as vendor, transport(writes=True) as t:
        t.send("PATCH", f"{vendor.url}/contacts/1", body=b"{}")
        with t.repeatable():
            t.send("POST", f"{vendor.url}/contacts/batch/update", body=b"{}")
    assert [a.method for a in vendor.asked] == ["PATCH", "PATCH", "PATCH", "PATCH", "POST"]
    with serve(Answer(drop=True)) as vendor, transport(writes=True) as t:
        t.send("POST", f"{vendor.url}/contacts/batch/update", body=b"body", repeatable=True)
    assert [a.body for a in vendor.asked] == [b"body", b"body"]


def test_a_post_the_vendor_turned_away_is_sent_again() -> None:
    with serve(BUSY, Answer(503)) as vendor, transport(writes=True) as t:
        t.send("POST", f"{vendor.url}/contacts", body=b"{}")
    assert len(vendor.asked) == 3


# -- credentials ----------------------------------------------------------------------------------------------------
def test_an_expired_token_is_renewed_once_and_the_call_repeated() -> None:
    token = Token()
    with serve(Answer(419), Answer(200, b"token"), Answer(200, b"page")) as vendor, transport() as t:
        t.credentials, token.token_url = token, f"{vendor.url}/oauth/token"
        assert t.send("GET", f"{vendor.url}/x", headers={"Authorization": "Bearer from-the-client"}).data == b"page"
    assert [a.headers.get("authorization") for a in vendor.asked] == ["Bearer secret-token-1", None, "Bearer secret-token-2"]


def test_a_token_that_expires_twice_is_a_credentials_error() -> None:
    token = Token()
    with serve(Answer(419), Answer(), Answer(419, b"expired again")) as vendor, transport() as t:
        t.credentials, token.token_url = token, f"{vendor.url}/oauth/token"
        with pytest.raises(CredentialsError, match="expired again"):
            t.send("GET", f"{vendor.url}/x")
    assert token.renewals == 1


def test_many_threads_renew_an_expired_token_once() -> None:
    token = Token()
    with serve() as vendor, transport() as t:
        vendor.by_token = {"Bearer secret-token-1": Answer(419), "Bearer secret-token-2": Answer(200, b"page")}
        t.credentials, token.token_url = token, f"{vendor.url}/oauth/token"
        got: list[bytes] = []
        threads = [threading.Thread(target=lambda: got.append(t.send("GET", f"{vendor.url}/x").data)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
    assert got == [b"page"] * 8
    assert token.renewals == 1


def test_a_token_that_cannot_be_renewed_is_asked_about_once() -> None:
    token = Token(renewable=False)
    with serve(Answer(419), Answer(419)) as vendor, transport() as t:
        t.credentials = token
        for _ in range(2):
            with pytest.raises(CredentialsError):
                t.send("GET", f"{vendor.url}/x")
    assert token.renewals == 1


def test_no_credentials_go_where_none_are_wanted() -> None:
    with serve() as vendor, transport() as t:
        t.credentials = Token()
        t.send("GET", f"{vendor.url}/storage", auth=False)
    assert "authorization" not in vendor.asked[0].headers


# -- secrets --------------------------------------------------------------------------------------------------------
def test_no_secret_reaches_a_message_or_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.addFilter(RedactingFilter())
    caplog.set_level(logging.DEBUG)
    said = b"key secret-token-1 is wrong for joe@example.com"
    with serve(Answer(429, said), Answer(400, said)) as vendor, transport() as t:
        t.credentials = Token()
        with pytest.raises(VendorError) as raised:
            t.send("GET", f"{vendor.url}/members/joe%40example.com/secret-token-1?apikey=secret-token-1&q=joe@example.com")
    everything = f"{raised.value} {raised.value.where} {caplog.text}"
    assert "tundish.http" in everything
    assert "secret-token-1" not in everything
    assert "joe" not in everything


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer abc.DEF-123456789",
        "Basic dXNlcjprZXktdXMxMjM0",
        '{"access_token":"S3CR3T-VALUE", "expires_in":1800}',
        "client_secret=S3CR3T-VALUE&x=1",
        r"{\"refresh_token\": \"S3CR3T-VALUE\"}",
        "pat-na1-12345678-aaaa",
        "0123456789abcdef0123456789abcdef-us19",
        "write to joe.doe+x@example.co.uk",
    ],
)
def test_what_looks_like_a_secret_is_taken_out(text: str) -> None:
    clean = redact(text)
    assert "***" in clean or "<e-mail>" in clean
    for part in ("S3CR3T", "123456", "abcdef", "joe", "dXNl"):
        assert part not in clean


def test_ordinary_sentences_are_left_alone() -> None:
    text = "The OAuth 2.0 token expired; basic authentication failed for property 'email' at 2026-03-10"
    assert redact(text) == text


# -- the wire -------------------------------------------------------------------------------------------------------
def test_gzip_is_asked_for_and_decoded() -> None:
    page = b'{"results":[]}' * 1000
    with serve(Answer(200, page, zipped=True)) as vendor, transport() as t:
        reply = t.send("GET", f"{vendor.url}/x", headers={"Accept-Encoding": "identity, br"})
        assert t.spent()["bytes"] < len(page) / 10
    assert reply.data == page
    assert vendor.asked[0].headers["accept-encoding"] == "gzip"


def test_one_connection_serves_many_calls() -> None:
    with serve() as vendor, transport() as t:
        for _ in range(5):
            t.send("GET", f"{vendor.url}/x")
        (lines,) = t._wire._lines.values()
        assert len(lines._idle) == 1
    assert len({a.port for a in vendor.asked}) == 1


def test_a_connection_the_vendor_closed_while_it_was_idle_is_not_used_again() -> None:
    with (
        serve(Answer(200, b"a", {"Connection": "close"}), Answer(200, b"b", {"Content-Length": ""})) as vendor,
        transport(writes=True) as t,
    ):
        assert [t.send("POST", f"{vendor.url}/x", body=b"{}").data for _ in range(3)] == [b"a", b"b", b"{}"]
        assert t.spent()["retries"] == 0
    assert len({a.port for a in vendor.asked}) == 3


def test_a_header_given_twice_keeps_both_values() -> None:
    with serve(Answer(200, b"{}", {"X-Name": "a", "x-name": "b"})) as vendor, transport() as t:
        assert t.send("GET", f"{vendor.url}/x").headers["x-name"] == "a, b"


def test_what_a_client_did_not_quote_is_quoted() -> None:
    with serve() as vendor, transport() as t:
        t.send("GET", f"{vendor.url}/a b?q=Zoë|%20x\r\nHost: evil")
    assert vendor.asked[0].path == "/a%20b?q=Zo%C3%AB|%20xHost:%20evil"


def test_a_proxy_is_asked_for_the_host_and_its_refusal_is_told() -> None:
    refused = pytest.raises(VendorUnavailable, match=r"cannot connect to api.example.com")
    with serve(Answer(502)) as proxy, transport(proxy_url=proxy.url, attempts=1) as t, refused:
        t.send("GET", "https://api.example.com/x")
    assert [(a.method, a.path) for a in proxy.asked] == [("CONNECT", "api.example.com:443")]


def test_redirects_are_followed_on_the_same_host_for_reads_only() -> None:
    answers = (Answer(302, b"", {"Location": "/y?z=1"}), Answer(200, b"there"), Answer(302, b"moved", {"Location": "/y"}))
    with serve(*answers) as vendor, transport(writes=True) as t:
        assert t.send("GET", f"{vendor.url}/x").data == b"there"
        with pytest.raises(VendorError):
            t.send("POST", f"{vendor.url}/x", body=b"{}")
    assert [a.path for a in vendor.asked] == ["/x", "/y?z=1", "/x"]


def test_a_redirect_to_another_host_is_refused() -> None:
    away = Answer(302, b"", {"Location": "https://elsewhere.example/login"})
    with serve(away) as vendor, transport() as t, pytest.raises(VendorError, match=r"another host \(elsewhere.example\)"):
        t.send("GET", f"{vendor.url}/x")


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com/x",
        "http://127.0.0.1.example.com/x",
        "http://127.0.0.1@example.com/x",
        "ftp://127.0.0.1/x",
        "/x",
        "http://localhost.example.com/x",
    ],
)
def test_plain_http_stays_on_this_machine(url: str) -> None:
    with transport() as t, pytest.raises(UserError, match="only https leaves this machine"):
        t.send("GET", url)


def test_a_rewritten_prefix_is_a_whole_one() -> None:
    with serve() as vendor, transport() as t:
        t.rewrite("https://acme.my.salesforce.com", vendor.url)
        t.send("GET", "https://acme.my.salesforce.com/services?x=1")
        assert t._rewritten("https://acme.my.salesforce.com.evil.example/x") == "https://acme.my.salesforce.com.evil.example/x"
    assert vendor.asked[0].path == "/services?x=1"


def test_https_verifies_the_certificate() -> None:
    with transport() as t:
        context = t._wire._straight(locate("https://api.example.com/x"))._tls
    assert context is not None
    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"


# -- limits and events ----------------------------------------------------------------------------------------------
def test_the_vendors_own_count_keeps_a_reserve() -> None:
    def read_limits(headers: dict[str, str]) -> list[tuple[str, int, int]]:
        return [("daily", int(headers["x-left"]), 1000)] if "x-left" in headers else []

    buckets = (Bucket("daily", 1000, 86_400, reserve_share=0.2),)
    with serve(Answer(headers={"X-Left": "150"})) as vendor, transport(buckets=buckets, read_limits=read_limits) as t:
        t.send("GET", f"{vendor.url}/x")
        with pytest.raises(VendorUnavailable, match="allowance reserve reached"):
            t.send("GET", f"{vendor.url}/x")
        assert len(vendor.asked) == 1


def test_events_tell_calls_waits_and_renewals_without_queries() -> None:
    events: list[Event] = []
    token = Token()
    with serve(BUSY, Answer(419), Answer(), Answer(200, b"page")) as vendor, transport(on_event=events.append) as t:
        t.credentials, token.token_url = token, f"{vendor.url}/oauth/token"
        t.send("GET", f"{vendor.url}/x?email=joe@example.com")
    told = [(e.kind, e.path, e.status) for e in events]
    assert told == [
        ("request", "/x", 429),
        ("wait", "/x", 0),
        ("request", "/x", 419),
        ("request", "/oauth/token", 200),
        ("renew", "/x", 0),
        ("request", "/x", 200),
    ]
