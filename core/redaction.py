"""One function that takes secrets and e-mail addresses out of text, and the logging filter that applies it.

Everything the hub prints, logs or stores about a request passes through `redact`. It knows the secrets it was told
and the shapes secrets usually have.
"""

from __future__ import annotations

import base64
import logging
import re
import threading
from urllib.parse import quote

MASK = "***"
SHORTEST = 4  # a shorter "secret" would blank out ordinary words

_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?i)\b(bearer|basic|oauth)\s+(?=\S*[\d=.])[^\s\"',]{12,}"), rf"\1 {MASK}"),
    (
        re.compile(
            r"(?i)((?:access|refresh|id)_?token|client_?secret|api_?secret|api_?key|hapikey|password|assertion)"
            r"(\\?[\"']?\s*[=:]\s*\\?[\"']?)(?!\*\*\*)[^\s\"'&,}\\]+"
        ),
        rf"\1\2{MASK}",
    ),
    (re.compile(r"\bpat-[a-z]{2}\d-[\w-]{8,}"), MASK),
    (re.compile(r"\b[0-9a-f]{32}-[a-z]{2}\d+\b"), MASK),
    (re.compile(r"[\w.+%-]{1,64}(?:@|%40)[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}"), "<e-mail>"),
)

_lock = threading.Lock()
_known: set[str] = set()
_forms: tuple[str, ...] = ()  # how the known secrets may be written; the longest first


def remember(*secrets: str) -> None:
    """From now on `redact` takes these out, also when they are URL-quoted or base64-encoded."""
    global _forms
    with _lock:
        new = {s for s in secrets if len(s) >= SHORTEST} - _known
        if new:
            _known.update(new)
            forms = {form for s in new for form in (s, quote(s, safe=""), base64.b64encode(s.encode()).decode())}
            _forms = tuple(sorted({*_forms, *forms}, key=len, reverse=True))


def redact(text: str) -> str:
    """The text without known secrets, things shaped like secrets, and e-mail addresses."""
    for form in _forms:
        if form in text:
            text = text.replace(form, MASK)
    for shape, put in _SHAPES:
        text = shape.sub(put, text)
    return text


class RedactingFilter(logging.Filter):
    """Put on every log handler, so that other libraries' lines (urllib3, the vendors' clients) are clean as well."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        return True
