"""A bucket on loopback for the lake's tests: as much of Amazon S3's REST interface as a Delta table needs, keys not checked.

Read 2026-11-25. Objects are written once where the writer asks for it (`If-None-Match: *`): that is what keeps two commits apart.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

STAMP = "Mon, 01 Jun 2026 08:00:00 GMT"


class Bucket(BaseHTTPRequestHandler):
    objects: dict[str, bytes]
    lock: threading.Lock
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are sent apart: a body would wait for the head to be acknowledged

    def log_message(self, format: str, *args: Any) -> None:
        pass

    @property
    def key(self) -> str:
        return unquote(urlsplit(self.path).path).lstrip("/").partition("/")[2]

    def say(self, status: int, body: bytes = b"", length: int | None = None, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status: int, code: str) -> None:
        self.say(status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode())

    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html
    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with self.lock:
            if self.headers.get("If-None-Match") == "*" and self.key in self.objects:
                return self.refuse(412, "PreconditionFailed")
            self.objects[self.key] = body
        return self.say(200, ETag=_etag(body))

    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        if "list-type" in query:
            return self.listing(query)
        body = self.objects.get(self.key)
        if body is None:
            return self.refuse(404, "NoSuchKey")
        asked = self.headers.get("Range", "").removeprefix("bytes=")
        if not asked:
            return self.say(200, body, ETag=_etag(body), Last_Modified=STAMP)
        first, _, last = asked.partition("-")
        start = int(first) if first else max(0, len(body) - int(last))
        end = min(int(last), len(body) - 1) if first and last else len(body) - 1
        span = f"bytes {start}-{end}/{len(body)}"
        return self.say(206, body[start : end + 1], ETag=_etag(body), Last_Modified=STAMP, Content_Range=span)

    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html
    def do_HEAD(self) -> None:
        body = self.objects.get(self.key)
        if body is None:
            return self.say(404)
        return self.say(200, length=len(body), ETag=_etag(body), Last_Modified=STAMP)

    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObject.html
    def do_DELETE(self) -> None:
        self.objects.pop(self.key, None)
        self.say(204)

    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html
    def do_POST(self) -> None:
        asked = ElementTree.fromstring(self.rfile.read(int(self.headers["Content-Length"])))
        keys = [node.text or "" for node in asked.iter() if node.tag.rpartition("}")[2] == "Key"]
        for key in keys:
            self.objects.pop(key, None)
        gone = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
        self.say(200, f"<DeleteResult>{gone}</DeleteResult>".encode())

    # https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
    def listing(self, query: dict[str, list[str]]) -> None:
        prefix, after = query.get("prefix", [""])[0], query.get("start-after", [""])[0]
        delimiter = query.get("delimiter", [""])[0]
        found, folders = "", set()
        for key, body in sorted(self.objects.items()):
            rest = key.removeprefix(prefix)
            if not key.startswith(prefix) or key <= after:
                continue
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.split(delimiter)[0] + delimiter)
                continue
            stamp = "2026-06-01T08:00:00.000Z"
            facts = f"<LastModified>{stamp}</LastModified><ETag>{_etag(body)}</ETag><Size>{len(body)}</Size>"
            found += f"<Contents><Key>{escape(key)}</Key>{facts}</Contents>"
        found += "".join(f"<CommonPrefixes><Prefix>{escape(f)}</Prefix></CommonPrefixes>" for f in sorted(folders))
        self.say(200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>".encode())


def _etag(body: bytes) -> str:
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'


@contextmanager
def bucket() -> Iterator[tuple[str, dict[str, bytes]]]:
    """(address, the objects by key) of a bucket that is served meanwhile. The lake's URL names any bucket: s3://any/folder."""
    objects: dict[str, bytes] = {}
    handler = type("Handler", (Bucket,), {"objects": objects, "lock": threading.Lock()})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", objects
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()
