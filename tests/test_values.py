"""Values: one normal form, there and back."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import values


@pytest.mark.parametrize("blank", [None, "", " ", "N/A", "n/a", "-", "null"])
def test_texts_for_nothing_are_nothing(blank: str | None) -> None:
    assert values.is_blank(blank)
    assert values.as_text(blank) is None


@pytest.mark.parametrize("value", [0, False, Decimal(0), "0", "no"])
def test_zero_and_false_are_values(value: object) -> None:
    assert not values.is_blank(value)


@pytest.mark.parametrize(
    ("email", "want"),
    [
        (" Ada@Example.COM ", "ada@example.com"),
        ("a@bücher.example", "a@xn--bcher-kva.example"),
        ("nobody", None),
        ("@x.io", None),
        (None, None),
    ],
)
def test_addresses_are_trimmed_lower_and_ascii(email: str | None, want: str | None) -> None:
    assert values.normal_email(email) == want


def test_gmail_dots_and_tags_are_dropped_only_when_asked() -> None:
    assert values.normal_email("A.da+x@googlemail.com", gmail=True) == "ada@gmail.com"
    assert values.normal_email("A.da+x@gmail.com") == "a.da+x@gmail.com"


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("https://www.Acme.io/about?x=1", "acme.io"),
        ("acme.io", "acme.io"),
        ("http://acme.io:8080", "acme.io"),
        ("ada@acme.io", "acme.io"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("localhost", None),
        ("", None),
        (None, None),
    ],
)
def test_the_host_of_whatever_people_put_into_a_website_field(text: str | None, want: str | None) -> None:
    assert values.normal_domain(text) == want


@pytest.mark.parametrize(
    ("phone", "want"),
    [
        ("+49 (30) 123-4567", "+49301234567"),
        ("0049 30 1234567", "+49301234567"),
        ("030 1234567", "+49301234567"),
        ("030 1234567 ext. 12", "+49301234567"),
        ("12", None),
        (None, None),
    ],
)
def test_telephone_numbers_in_one_form(phone: str | None, want: str | None) -> None:
    assert values.normal_phone(phone, "+49") == want


def test_a_number_without_a_country_matches_nobody() -> None:
    assert values.normal_phone("030 1234567") is None


@pytest.mark.parametrize(
    ("minor", "currency", "amount"),
    [(1234, "EUR", "12.34"), (1234, "jpy", "1234"), (1234, "VND", "1234"), (1234, "BHD", "1.234"), (1234, None, "12.34")],
)
def test_minor_units_follow_the_currency(minor: int, currency: str | None, amount: str) -> None:
    assert values.from_minor_units(Decimal(minor), currency) == Decimal(amount)
    assert values.to_minor_units(Decimal(amount), currency) == minor


@given(st.integers(min_value=-(10**15), max_value=10**15), st.sampled_from(["EUR", "JPY", "BHD", "CLF"]))
def test_minor_units_there_and_back(minor: int, currency: str) -> None:
    assert values.to_minor_units(values.from_minor_units(Decimal(minor), currency), currency) == minor


@pytest.mark.parametrize(
    ("short", "long"),
    [("001A0000006Vm9r", "001A0000006Vm9rIAC"), ("001A0000006Vm9rIAC", "001A0000006Vm9rIAC"), ("151", "151"), ("", "")],
)
def test_salesforce_ids_are_made_18_characters_long(short: str, long: str) -> None:
    assert values.salesforce_id18(short) == long


def test_ids_that_differ_in_case_only_stay_different() -> None:
    assert values.salesforce_id18("001a0000006vm9R").lower() != values.salesforce_id18("001A0000006Vm9r").lower()


def test_a_plain_date_is_written_as_utc_midnight() -> None:
    assert values.utc_midnight_ms(date(2026, 5, 1)) == 1777593600000


def test_a_time_is_written_in_utc_and_never_without_a_zone() -> None:
    assert values.utc_text(datetime(2026, 5, 1, 14, tzinfo=timezone(timedelta(hours=2)))) == "2026-05-01T12:00:00.000Z"
    with pytest.raises(ValueError, match="without a zone"):
        values.utc_text(datetime(2026, 5, 1, 14))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (Decimal("10.00"), 10),
        ("10.0", 10),
        (10.0, "10"),
        (True, "true"),
        ("True", True),
        (None, ""),
        ("N/A", None),
        (datetime(2026, 5, 1, 12, tzinfo=UTC), "2026-05-01T12:00:00.000Z"),
        (date(2026, 5, 1), "2026-05-01"),
        (("b", "a"), "a;b"),
    ],
)
def test_the_same_value_in_two_spellings_is_the_same(a: object, b: object) -> None:
    assert values.same(a, b)
    assert values.same(b, a)


@pytest.mark.parametrize(("a", "b"), [("10", "11"), ("a", None), ("Berlin", "berlin"), (0, None), (date(2026, 5, 1), date(2026, 5, 2))])
def test_different_values_are_different(a: object, b: object) -> None:
    assert not values.same(a, b)
