"""Cells as people write them, one by one."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.files_text import clean_names, delimiter_of, encoding_of
from connectors.files_values import BadCell, Convert, Plain, converter


def numbers(decimal: str | None = None, thousands: str | None = None) -> Convert:
    found = converter("money", decimal=decimal, thousands=thousands, formats=(), zone="UTC")
    assert found is not None
    return found


def dates(read: str, *formats: str, zone: str = "Europe/Berlin") -> Convert:
    found = converter(read, decimal=None, thousands=None, formats=formats, zone=zone)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1.234,56", "1234.56"), ("1234,5", "1234.5"), ("€ 1.234.567", "1234567"), ("12,5 EUR", "12.5"), ("EUR 12,5", "12.5"),
        ("45 %", "45"), ("(1.234,00)", "-1234.00"), ("12-", "-12"), ("−7", "-7"), ("+5", "5"), ("1 234,56", "1234.56"),
        ("1\u00a0234,56", "1234.56"), ("1'234", "1234"), ("5,-", "5"), ("5,--", "5"), ("-", ""), ("n/a", ""), ("", ""), ("0", "0"),
    ],
)  # fmt: skip
def test_numbers_with_a_decimal_comma(text: str, value: str) -> None:
    assert numbers(",")(text) == value


@pytest.mark.parametrize("text", ["1.23,4", "1234.5", "12,34,56", "#REF!", "#DIV/0!", "5 apples", "1e5x", "--5"])
def test_what_is_no_number_with_a_decimal_comma_is_refused(text: str) -> None:
    with pytest.raises(BadCell):
        numbers(",")(text)


@pytest.mark.parametrize(("text", "value"), [("1,234.50", "1234.50"), ("$1,234.50", "1234.50"), ("1234.5", "1234.5"), ("1e3", "1e3")])
def test_numbers_with_a_decimal_point(text: str, value: str) -> None:
    assert numbers(".")(text) == value


@pytest.mark.parametrize("text", ["1,234", "1.234,5", "1,234.5"])
def test_without_being_told_nothing_is_guessed(text: str) -> None:
    with pytest.raises(BadCell):
        numbers()(text)


def test_a_typed_cell_is_taken_as_it_is() -> None:
    assert numbers(",")(Plain("1234.5")) == "1234.5"


@given(st.decimals(-(10**12), 10**12, places=2))
def test_what_is_written_the_german_way_is_read_back(value: Decimal) -> None:
    text = f"{value:,.2f}".translate(str.maketrans(",.", ".,"))
    assert Decimal(numbers(",")(text)) == value


@pytest.mark.parametrize(
    ("text", "day", "instant"),
    [
        ("2026-05-01", "2026-05-01", "2026-05-01T00:00:00+02:00"),
        ("2026-01-01 10:00:00", "2026-01-01", "2026-01-01T10:00:00+01:00"),
        ("2026-05-01T10:00:00Z", "2026-05-01T10:00:00+00:00", "2026-05-01T10:00:00+00:00"),
        ("2026-05-01 10:00:00 UTC", "2026-05-01T10:00:00+00:00", "2026-05-01T10:00:00+00:00"),
        ("01.05.2026", "2026-05-01", "2026-05-01T00:00:00+02:00"),
        ("1.5.2026 10:30", "2026-05-01", "2026-05-01T10:30:00+02:00"),
        ("46143", "2026-05-01", "2026-05-01T00:00:00+02:00"),
        ("46143.5", "2026-05-01", "2026-05-01T12:00:00+02:00"),
        ("n/a", "", ""),
    ],
)
def test_dates_and_times(text: str, day: str, instant: str) -> None:
    how = ("%d.%m.%Y", "%d.%m.%Y %H:%M")
    assert (dates("date", *how)(text), dates("datetime", *how)(text)) == (day, instant)


@pytest.mark.parametrize("text", ["05/01/2026", "20260501", "31.02.2026", "yesterday", "123"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(BadCell):
        dates("date", "%d.%m.%Y")(text)


def test_only_numbers_and_dates_are_touched() -> None:
    assert converter("text", decimal=",", thousands=".", formats=("%d",), zone="UTC") is None
    assert converter("email", decimal=",", thousands=".", formats=(), zone="UTC") is None


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Bjørn Sørensen;Århus\nÅse Ærø;Tromsø\n", "cp1252"), ("François;Châlons\nNoël;Besançon\nÇelik;Orléans", "cp1252"),
        ("Stanisław;Poznań\nZdzisław;Świdnica\nMałgorzata;Częstochowa\n", "cp1250"),
        ("Имя;Город\nИван Петров;Москва\nАнна Смирнова;Казань", "cp1251"), ("名前;東京\n田中太郎;大阪府", "shift_jis"),
        ("Müller;ж", "utf-8"), ("plain", "utf-8"),
    ],
)  # fmt: skip
def test_the_encoding_of_a_sample(text: str, encoding: str) -> None:
    assert encoding_of(text.encode(encoding)) == encoding


@pytest.mark.parametrize(
    ("sample", "sign"),
    [
        ("a;b,c;d\n1;2,3;4\n", ";"), ("a,b\n1,2\n", ","), ("one\ncolumn\n", ","), ("a\tb\n1\t2", "\t"), ("sep=|\na|b\n", "|"),
        ("Name;Betrag\nA, B;1,5\nC;2,5\n", ";"), ('"a,b";c\n"x;y";2\n', ";"), ("a,b\n1\n2,3\n4,5\n", ","),
    ],
)  # fmt: skip
def test_the_delimiter_of_a_sample(sample: str, sign: str) -> None:
    assert delimiter_of(sample, ".csv") == sign


def test_names_of_columns_are_trimmed_and_made_different() -> None:
    assert clean_names(["\ufeffName", " E-\n Mail", "", "Name", "Name", "x", " "]) == [
        "Name", "E- Mail", "column 3", "Name (2)", "Name (3)", "x",
    ]  # fmt: skip
