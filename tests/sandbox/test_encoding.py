"""Values arrive in PostHog's JSON."""

from typing import Any

import orjson
import pytest

from beton.sandbox.encoding import encoded_rows
from tests.sandbox.table import Table


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("toDateTime64('2026-01-01 00:00:00.000000', 6, 'UTC')", '"2026-01-01T00:00:00Z"'),
        ("toDateTime64('2026-01-01 00:00:00.5', 6, 'UTC')", '"2026-01-01T00:00:00.500000Z"'),
        ("toDateTime('2026-07-01 00:00:00', 'Europe/Berlin')", '"2026-07-01T00:00:00+02:00"'),
        ("toTimeZone(toDateTime64('2026-01-01 00:00:00.25', 6, 'UTC'), 'Europe/Berlin')", '"2026-01-01T01:00:00.250000+01:00"'),
        ("toDate('2026-01-01')", '"2026-01-01"'),
        ("toUUID('018f0000-0000-7000-8000-000000000001')", '"018f0000-0000-7000-8000-000000000001"'),
        ("tuple(1, 'a', toDateTime64('2026-01-01', 6, 'UTC'))", '[1,"a","2026-01-01T00:00:00Z"]'),
        ("[1.0, 0 / 0, 1 / 0]", "[1.0,null,null]"),
        ("map('a', [toFloat(2)])", '{"a":[2.0]}'),
        ("toBool(1)", "true"),
        ("1 = 1", "1"),
        ("NULL", "null"),
        ("bitShiftLeft(_toUInt64(1), 63)", "9223372036854775808"),
        ("toDecimal('1.50', 2)", '"1.5"'),
        ("'a/b\\n\"é'", '"a/b\\n\\"é"'),
        ("[toDateTime64('2026-01-01', 6, 'UTC')]", '["2026-01-01T00:00:00Z"]'),
    ],
)
def test_every_type_has_posthogs_form(table: Table, text: str, expected: str) -> None:
    answer = table.answer(f"SELECT {text} AS v")
    assert encoded_rows(answer.lines, answer.types)[0].decode() == f"[[{expected}]]"


def test_properties_are_a_text_not_an_object(table: Table) -> None:
    answer = table.answer("SELECT properties FROM events WHERE event = 'paid'")
    value: Any = orjson.loads(encoded_rows(answer.lines, answer.types)[0])[0][0]
    assert isinstance(value, str)
    assert orjson.loads(value)["amount"] == 10.5


def test_a_row_beyond_the_page_is_cut_and_told() -> None:
    assert encoded_rows(b"[1]\n[2]\n[3]", ["UInt8"], 2) == (b"[[1],[2]]", 2, True)
    assert encoded_rows(b"[1]\n[2]", ["UInt8"], 2) == (b"[[1],[2]]", 2, False)
    assert encoded_rows(b"", ["UInt8"], 2) == (b"[]", 0, False)
