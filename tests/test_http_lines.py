"""Replies as bytes on a socket: what the standard library's server would never send."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from core.http_lines import ConnectFailed, CutOff, Lines


@contextmanager
def sending(*replies: bytes, keep: bool = False) -> Iterator[tuple[Lines, list[bytes]]]:
    """Answers each request with the next bytes; hangs up after each, or after the last (`keep`)."""
    listening = socket.create_server(("127.0.0.1", 0))
    asked: list[bytes] = []

    def serve() -> None:
        left = list(replies)
        while left:
            line, _ = listening.accept()
            with line:
                while left:
                    asked.append(line.recv(65_536))
                    line.sendall(left.pop(0))
                    if not keep:
                        break

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    lines = Lines("127.0.0.1", listening.getsockname()[1], None, (5, 5))
    try:
        yield lines, asked
    finally:
        lines.close()
        thread.join(5)
        listening.close()


def get(lines: Lines, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    return lines.exchange(method, "/x?a=1", {"accept": "text/plain"}, None)


def test_a_request_is_what_the_vendor_expects() -> None:
    with sending(b"HTTP/1.1 204 No Content\r\n\r\n" * 1, b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", keep=True) as (lines, asked):
        assert get(lines)[0] == 204
        lines.exchange("POST", "/y", {}, b"{}")
        host = f"127.0.0.1:{lines._address[1]}".encode()
    assert asked[0] == b"GET /x?a=1 HTTP/1.1\r\nhost: " + host + b"\r\naccept: text/plain\r\n\r\n"
    assert asked[1] == b"POST /y HTTP/1.1\r\nhost: " + host + b"\r\ncontent-length: 2\r\n\r\n{}"


def test_a_body_in_chunks_is_put_together() -> None:
    with sending(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n") as (lines, _):
        assert get(lines)[2] == b"abcde"


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    with sending(b"HTTP/1.1 200 OK\r\n\r\nabc") as (lines, _):
        assert get(lines)[2] == b"abc"
        assert lines._idle == []


def test_what_comes_before_the_reply_itself_is_not_the_reply() -> None:
    with sending(b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab") as (lines, _):
        assert get(lines) == (200, {"content-length": "2"}, b"ab")


def test_a_head_reply_has_no_body_whatever_its_length_says() -> None:
    with sending(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n") as (lines, _):
        assert get(lines, "HEAD") == (200, {"content-length": "10"}, b"")


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"220 mail.example ESMTP\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ],
)
def test_half_a_reply_is_none(reply: bytes) -> None:
    with sending(reply) as (lines, _), pytest.raises(CutOff):
        get(lines)


def test_a_second_reply_nobody_asked_for_is_never_given_to_the_next_call() -> None:
    whole = b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n"
    with sending(whole + b"a" + whole + b"b", whole + b"c") as (lines, _):
        assert [get(lines)[2], get(lines)[2]] == [b"a", b"c"]


def test_a_header_of_two_lines_is_not_sent() -> None:
    with sending() as (lines, _), pytest.raises(ValueError, match="one line"):
        lines.exchange("GET", "/", {"a": "b\r\nc: d"}, None)


def test_no_connection_is_told_apart_from_a_cut_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ConnectFailed):
        get(Lines("127.0.0.1", port, None, (5, 5)))
