"""Values in their normal form: what vendors write as text becomes what we compare, and back. Pure functions."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

# Currencies whose minor unit is not a hundredth. Source: ISO 4217 list one, read 2026-05.
_EXPONENTS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}
EXPONENT: dict[str, int] = {code: exponent for exponent, codes in _EXPONENTS.items() for code in codes.split()}
_BLANK = frozenset({"", "n/a", "-", "null", "none"})
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345"
_NOT_DIGIT = re.compile(r"\D+")
_HOST = re.compile(r"^(?:[a-z][a-z0-9+.-]*://)?(?:[^@/]*@)?([^/:?#\s]+)", re.IGNORECASE)


def is_blank(value: Any) -> bool:
    """True for None and the texts people write for nothing: "", "N/A", "-". Zero and False are values."""
    return value is None or (isinstance(value, str) and value.strip().lower() in _BLANK)


def exponent(currency: str | None) -> int:
    """Decimal places of the currency's minor unit; 2 when the currency is not known."""
    return EXPONENT.get((currency or "").upper(), 2)


def from_minor_units(amount: Decimal, currency: str | None) -> Decimal:
    """1234, "EUR" → 12.34;  1234, "JPY" → 1234."""
    return amount.scaleb(-exponent(currency))


def to_minor_units(amount: Decimal, currency: str | None) -> int:
    """12.34, "EUR" → 1234. Halves round to even."""
    return int(amount.scaleb(exponent(currency)).quantize(Decimal(1)))


def normal_email(email: str | None, *, gmail: bool = False) -> str | None:
    """Trimmed, lower case, domain in ASCII; None when it is no address.

    `gmail` also drops dots and plus-tags of gmail addresses: for matching only, never to be written anywhere.
    """
    local, _, domain = (email or "").strip().lower().rpartition("@")
    if not local or not domain or any(c.isspace() for c in local):
        return None
    ascii_domain = _ascii(domain)
    if gmail and ascii_domain in ("gmail.com", "googlemail.com"):
        return f"{local.partition('+')[0].replace('.', '')}@gmail.com"
    return f"{local}@{ascii_domain}"


def normal_domain(text: str | None) -> str | None:
    """The host of a domain, URL or address, lower case, ASCII, without "www."; None when there is none."""
    found = _HOST.match((text or "").strip())
    if found is None or "." not in found[1].strip("."):
        return None
    host = _ascii(found[1].lower().rstrip("."))
    return host.removeprefix("www.") or None


def normal_phone(phone: str | None, country_code: str = "") -> str | None:
    """E.164 as far as digits alone tell: "+" or "00" marks an international number, else `country_code` is put before it.

    None with fewer than 7 or more than 15 digits, or when the country cannot be told.
    """
    text = (phone or "").strip()
    digits = _NOT_DIGIT.sub("", text.lower().split("ext")[0].split("x")[0])
    if not text.startswith("+"):
        if digits.startswith("00"):
            digits = digits[2:]
        elif country_code:
            digits = country_code.lstrip("+") + digits.lstrip("0")
        else:
            return None
    return f"+{digits}" if 7 <= len(digits) <= 15 else None


def salesforce_id18(text: str) -> str:
    """The 18-character form of a Salesforce id; anything not 15 characters long comes back as it is.

    The three extra letters say which of each five characters are upper case. Source: Salesforce help 000385008, read 2026-05.
    """
    if len(text) != 15 or not text.isascii() or not text.isalnum():
        return text
    chunks = (text[0:5], text[5:10], text[10:15])
    return text + "".join(_LETTERS[sum(1 << i for i, c in enumerate(chunk) if c.isupper())] for chunk in chunks)


def utc_midnight_ms(day: date) -> int:
    """Epoch milliseconds of the day's UTC midnight: how HubSpot wants a date property written."""
    return int(datetime.combine(day, time(), UTC).timestamp() * 1000)


def utc_text(instant: datetime) -> str:
    """2026-05-01T12:00:00.000Z. Raises: ValueError for a time without a zone."""
    if instant.tzinfo is None:
        raise ValueError("a time without a zone cannot be written")
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_text(value: Any) -> str | None:
    """One text form per value, for comparing values across vendors and round trips; None for blank.

    Decimals lose trailing zeros, whole floats their point, times are UTC, lists are sorted.
    """
    if is_blank(value):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return utc_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, int | float | Decimal):
        return _number_text(Decimal(str(value)))
    if isinstance(value, list | tuple | set | frozenset):
        return ";".join(sorted(filter(None, map(as_text, value)))) or None
    return str(value).strip()


def same(a: Any, b: Any) -> bool:
    """Equal after normalising; a number equals its text ("10.0" and 10), two blanks are equal."""
    left, right = as_text(a), as_text(b)
    if left == right or left is None or right is None:
        return left == right
    if isinstance(a, bool) or isinstance(b, bool):
        return left.lower() == right.lower()
    return _as_number(left) is not None and _as_number(left) == _as_number(right)


def _as_number(text: str) -> Decimal | None:
    try:
        number = Decimal(text)
    except ArithmeticError:
        return None
    return number if number.is_finite() else None


def _number_text(number: Decimal) -> str:
    return f"{number.normalize():f}" if number.is_finite() and number else "0" if number.is_finite() else str(number)


def _ascii(domain: str) -> str:
    try:
        return domain.encode("idna").decode("ascii")
    except UnicodeError:
        return domain
