"""HogQL against a real ClickHouse: what a stranger would type, and what must come back."""

from typing import Any

import pytest

from beton.sandbox.hogql.errors import HogQLError
from beton.sandbox.hogql.translate import translate
from tests.sandbox.table import Table

PAGE_OF_ANN = "FROM events WHERE event = 'page' AND person_id = 'ann'"

QUERIES: tuple[tuple[str, list[list[Any]]], ...] = (
    ("SELECT count() FROM events", [[8]]),
    ("SELECT count(*), count(DISTINCT event), uniqExact(person_id) FROM events", [[8, 4, 3]]),
    (
        "SELECT event, count() AS c FROM events GROUP BY event ORDER BY c DESC, event",
        [["page", 3], ["signed_up", 3], ["$groupidentify", 1], ["paid", 1]],
    ),
    (
        (
            "SELECT person_id, windowFunnel(86400)(toDateTime(timestamp), event = 'signed_up', event = 'page', event = 'paid') AS steps "
            "FROM events GROUP BY person_id ORDER BY person_id"
        ),
        [["ann", 3], ["bob", 1], ["cid", 2]],
    ),
    (
        "SELECT countIf(properties.n > 4), sumIf(properties.n, properties.ok), maxIf(timestamp, event = 'paid') > minIf(timestamp, 1) FROM events",
        [[2, 3.0, 1]],
    ),
    ("SELECT arrayMap(x -> x * 2, [1, 2]), arrayFilter((x, y) -> x > y, [1, 5], [2, 3]), arrayReduce('sum', [1, 2])", [[[2, 4], [5], 3]]),
    (f"SELECT argMaxIf(tuple(event, timestamp), timestamp, event = 'page') {PAGE_OF_ANN}", [[["page", "2026-03-01T23:30:00.123456Z"]]]),
    (
        f"SELECT JSONExtractRaw(properties, 'n'), JSONHas(properties, 'x'), JSONExtractInt(properties, 'nested', 'deep', 2) {PAGE_OF_ANN}",
        [["3", 0, 2]],
    ),
    (
        f"SELECT properties['odd key'], properties.`odd key`, properties.nested['deep'], properties.nested.deep.1, properties.none {PAGE_OF_ANN}",
        [["x", "x", "[1,2]", "1", None]],
    ),
    ("SELECT person.properties.email, person.properties.age, person.id FROM events WHERE event = 'paid'", [["ann@example.com", 31.0, "ann"]]),
    (
        "SELECT group_0.properties.name, organization.properties.name, organization.key FROM events WHERE event = 'page' ORDER BY timestamp",
        [[None, None, "acme"], [None, None, ""], ["Zeta", "Zeta", "zeta"]],
    ),
    ("SELECT pdi.person.properties.email FROM events WHERE event = 'paid'", [["ann@example.com"]]),
    ("SELECT session.$pageview_count, $session_id FROM events WHERE $session_id = 's1'", [[0, "s1"]]),
    ("SELECT id, properties.email FROM persons ORDER BY id LIMIT 2", [["ann", "ann@example.com"], ["bob", None]]),
    ("SELECT key, properties.name FROM groups ORDER BY key", [["acme", None], ["zeta", "Zeta"]]),
    ("SELECT CASE event WHEN 'page' THEN 1 ELSE 0 END AS k, count() FROM events GROUP BY k ORDER BY k", [[0, 5], [1, 3]]),
    ("SELECT CASE WHEN properties.n > 4 THEN 'big' ELSE 'small' END AS k, count() FROM events GROUP BY k ORDER BY k", [["big", 2], ["small", 6]]),
    (
        "WITH many AS (SELECT person_id, count() AS n FROM events GROUP BY person_id HAVING n > 2) SELECT * FROM many ORDER BY person_id",
        [["ann", 3], ["cid", 3]],
    ),
    ("WITH 2 AS two, (SELECT max(properties.n) FROM events) AS top SELECT two * 2, top", [[4, 7.0]]),
    ("SELECT person_id FROM events WHERE person_id IN (SELECT id FROM persons WHERE properties.age > 30) LIMIT 1", [["ann"]]),
    (
        "SELECT p.id, p.properties.email FROM events AS e LEFT JOIN persons AS p ON p.id = e.person_id WHERE e.event = 'paid'",
        [["ann", "ann@example.com"]],
    ),
    (
        "SELECT a.event, b.n FROM events a JOIN (SELECT person_id, count() AS n FROM events GROUP BY 1) b USING person_id WHERE event = 'paid'",
        [["paid", 3]],
    ),
    ("SELECT event, z FROM events ARRAY JOIN [1, 2] AS z WHERE event = 'paid'", [["paid", 1], ["paid", 2]]),
    (
        (
            "SELECT event, row_number() OVER (PARTITION BY person_id ORDER BY timestamp) AS place, lag(event) OVER (ORDER BY timestamp) "
            "FROM events WHERE person_id = 'bob' ORDER BY place"
        ),
        [["signed_up", 1, None], ["page", 2, "signed_up"]],
    ),
    ("SELECT event FROM events ORDER BY timestamp LIMIT 1 BY person_id", [["signed_up"]] * 3),
    ("SELECT 1 AS a UNION ALL SELECT 2", [[1], [2]]),
    ("SELECT sum(c) FROM (SELECT count() AS c FROM events UNION ALL SELECT 1)", [[9]]),
    ("SELECT tuple(1, 'a').2, (1, 2).1, [[7]][1][1], map('a', 1)['a']", [["a", 1, 7, 1]]),
    (
        "SELECT toInt('5'), toFloat('x'), '5'::int, cast('1' AS float), toUUID('x'), toBool('true'), toDecimal('1.5', 2)",
        [[5, None, 5, 1.0, None, True, "1.5"]],
    ),
    ("SELECT concat('a', NULL, 1), coalesce(NULL, 'x'), NULL ?? 4, 1 ? 2 : 3, nullIf(1, 1)", [["a1", "x", 4, 2, None]]),
    ("SELECT 'ABC' ILIKE 'a%', 'abc' =~ '^a', 'abc' !~ 'b', 'ABC' =~* 'b', 'abc' NOT LIKE 'z%', like('a', '%')", [[1, 1, 0, 1, 1, 1]]),
    (
        "SELECT quantile(0.5)(properties.n), quantiles(0.5, 1)(properties.n), topK(1)(event) FROM events WHERE event = 'page'",
        [[5.0, [5.0, 7.0], ["page"]]],
    ),
    ("SELECT transform('b', ['a', 'b'], [1, 2], 0), indexOf(['a', 'b'], 'b'), multiIf(0, 1, 2)", [[2, 2, 2]]),
    (
        "SELECT dateAdd('day', 1, toDate('2026-01-01')), toDate('2026-01-01') + INTERVAL 1 MONTH, dateDiff('day', toDate('2026-01-01'), today())",
        [["2026-01-02", "2026-02-01", 68]],
    ),
    (
        "SELECT toDate(timestamp), toStartOfMonth(timestamp), toHour(timestamp), toStartOfInterval(timestamp, INTERVAL 6 HOUR) " + PAGE_OF_ANN,
        [["2026-03-01", "2026-03-01", 23, "2026-03-01T18:00:00Z"]],
    ),
    ("SELECT count() FROM events SAMPLE 1/1", [[8]]),
    ("SELECT a, b FROM (SELECT 1, 2) AS t (a, b)", [[1, 2]]),
    ("SELECT event, count() FROM events GROUP BY ALL ORDER BY event LIMIT 1", [["$groupidentify", 1]]),
    ("SELECT sum(number) FROM numbers(4)", [[6]]),
    ("SELECT toStartOfDay(timestamp) AS timestamp, count() FROM events GROUP BY timestamp ORDER BY timestamp LIMIT 1", [["2026-03-01T00:00:00Z", 3]]),
    ('SELECT json.a.b FROM (SELECT \'{"a": {"b": 1}}\' AS json)', [["1"]]),
    ("SELECT e.properties.n FROM (SELECT properties, timestamp FROM events) AS e WHERE e.properties.n > 6", [[7.0]]),
)


@pytest.mark.parametrize(("text", "expected"), QUERIES, ids=[text[:60] for text, _ in QUERIES])
def test_ordinary_hogql_gives_clickhouses_answer(table: Table, text: str, expected: list[list[Any]]) -> None:
    assert table.ask(text) == expected


REFUSALS = (
    ("SELECT noway() FROM events", "hogql_query_error", "Unsupported function call 'noway(...)'. Perhaps you meant 'now(...)'?"),
    ("SELECT tostring(1)", "hogql_query_error", "Unsupported function call 'tostring(...)'. Perhaps you meant 'toString(...)'?"),
    ("SELECT bla FROM events", "invalid_input", "Unable to resolve field: bla"),
    ("SELECT person.chipotle FROM events", "invalid_input", "Field not found: chipotle"),
    ("SELECT 1 FROM nowhere", "invalid_input", "Unknown table `nowhere`."),
    ("SELECT count(1, 2, 3, 4) FROM events", "hogql_query_error", "Aggregation 'count' expects at most 1 argument, found 4"),
    ("SELECT quantile(event) FROM events", "hogql_query_error", "Aggregation 'quantile' requires parameters in addition to arguments"),
    ("SELECT avg(avg(properties.n)) FROM events", "hogql_query_error", "Aggregation 'avg' cannot be nested inside another aggregation 'avg'."),
    ("SELECT cityHash64(1, 2)", "hogql_query_error", "Function 'cityHash64' expects 1 argument, found 2"),
    ("SELECT properties.a.0 FROM events", "hogql_query_error", "SQL indexes start from one, not from zero. E.g: array.1"),
    ("SELECT {missing}", "hogql_query_error", "Unresolved placeholder: {missing}"),
    (
        "SELECT person_id FROM events a JOIN events b ON a.uuid = b.uuid",
        "hogql_query_error",
        "Ambiguous query. Found multiple sources for field: person_id",
    ),
)


@pytest.mark.parametrize(("text", "code", "message"), REFUSALS, ids=[text[:40] for text, _, _ in REFUSALS])
def test_refusals_are_worded_as_posthog_words_them(table: Table, text: str, code: str, message: str) -> None:
    with pytest.raises(HogQLError) as refused:
        table.ask(text)
    assert (refused.value.code, refused.value.message) == (code, message)


@pytest.mark.parametrize(
    "name", ["sipHash64", "groupArraySorted", "sequenceMatch", "toUnixTimestamp64Micro", "groupArrayLast", "retention", "url", "file"]
)
def test_functions_posthog_lacks_are_refused_although_clickhouse_has_them(table: Table, name: str) -> None:
    with pytest.raises(HogQLError, match="Unsupported function call"):
        table.ask(f"SELECT {name}('a')")


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1 FROM events LIMIT 1 OFFSET 0",
        "SELECT * FROM (SELECT 1 LIMIT 1 OFFSET 2)",
        "SELECT 1 FROM events LIMIT 1 OFFSET 1 BY event",
        "SELECT 1 UNION ALL (SELECT 2 LIMIT 1 OFFSET 1)",
    ],
)
def test_offset_is_refused_wherever_it_stands(table: Table, text: str) -> None:
    with pytest.raises(HogQLError, match="OFFSET is not supported on queries made with a personal API key"):
        table.ask(text)


def test_an_offset_of_a_sample_is_not_paging(table: Table) -> None:
    assert table.ask("SELECT count() FROM events SAMPLE 1/1 OFFSET 0/1") == [[8]]


def test_an_aggregation_may_nest_in_a_subquery(table: Table) -> None:
    assert table.ask("SELECT max((SELECT avg(properties.n) FROM events WHERE event = 'page'))") == [[5.0]]


def test_a_syntax_error_says_where(table: Table) -> None:
    with pytest.raises(HogQLError) as refused:
        table.ask("SELECT FROM events WHERE")
    assert (refused.value.code, refused.value.start) == ("hogql_syntax_error", 24)


@pytest.mark.parametrize("text", ["SELECT 1 SETTINGS max_threads = 1", "SELECT 1 FORMAT CSV", "DROP TABLE events", "SELECT 1; SELECT 2"])
def test_what_is_not_a_select_does_not_parse(table: Table, text: str) -> None:
    with pytest.raises(HogQLError):
        table.ask(text)


def test_a_null_differs_from_every_value(table: Table) -> None:
    assert table.ask("SELECT count() FROM events WHERE properties.plan != 'free'") == [[7]]
    assert table.ask("SELECT count() FROM events WHERE properties.plan NOT IN ('free')") == [[7]]
    assert table.ask("SELECT count() FROM events WHERE not(properties.plan = 'free')") == [[7]]
    assert table.ask("SELECT count() FROM events WHERE properties.plan = NULL") == [[6]]


def test_a_property_has_the_type_of_its_definition(table: Table) -> None:
    types = table.answer("SELECT properties.n, properties.ok, properties.at, properties.plan, properties.unknown FROM events").types
    assert types == ("Nullable(Float64)", "Nullable(Bool)", "Nullable(DateTime64(6, 'UTC'))", "Nullable(String)", "Nullable(String)")


def test_quotes_inside_a_text_property_stay_escaped_as_in_posthog(table: Table) -> None:
    assert table.ask("SELECT properties.plan FROM events WHERE person_id = 'bob' AND event = 'signed_up'") == [['p\\"q']]


def test_placeholders_are_constants_whatever_they_contain(table: Table) -> None:
    values = {"text": "it's \\ {x}", "number": 2, "names": ["page", "paid"], "nothing": None, "half": 1.5}
    assert table.ask("SELECT {text}, {number}, {nothing}, {half}", values) == [["it's \\ {x}", 2, None, 1.5]]
    assert table.ask("SELECT count() FROM events WHERE event IN {names}", values) == [[4]]


def test_dates_follow_the_projects_zone_unless_told_otherwise(table: Table) -> None:
    text = f"SELECT timestamp, toDate(timestamp), toStartOfDay(timestamp) {PAGE_OF_ANN}"
    berlin = [["2026-03-02T00:30:00.123456+01:00", "2026-03-02", "2026-03-02T00:00:00+01:00"]]
    assert table.ask(text, timezone="Europe/Berlin") == berlin
    plain = [["2026-03-01T23:30:00.123456Z", "2026-03-01", "2026-03-01T00:00:00Z"]]
    assert table.ask(text, timezone="Europe/Berlin", convert_zone=False) == plain


def test_a_bare_text_beside_a_timestamp_is_in_the_projects_zone(table: Table) -> None:
    text = "SELECT count() FROM events WHERE timestamp >= '2026-03-02' AND timestamp < '2026-03-03'"
    assert (table.ask(text), table.ask(text, timezone="Europe/Berlin")) == ([[1]], [[2]])


def test_microseconds_need_todatetime64(table: Table) -> None:
    text = "SELECT toDateTime('2026-01-01 00:00:00.123456'), toDateTime64('2026-01-01 00:00:00.123456', 6, 'UTC')"
    assert table.ask(text) == [["2026-01-01T00:00:00.123000Z", "2026-01-01T00:00:00.123456Z"]]


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        (None, 8),
        ({"dateRange": {"date_from": "2026-03-02", "date_to": "2026-03-03"}}, 2),
        ({"dateRange": {"date_from": "-7d"}}, 4),
        ({"dateRange": {"date_from": "all"}, "properties": [{"key": "path", "value": ["/a"], "operator": "exact", "type": "event"}]}, 2),
        ({"properties": [{"key": "email", "value": "ann", "operator": "icontains", "type": "person"}]}, 3),
        ({"properties": [{"key": "properties.n > 4", "type": "hogql"}]}, 2),
        ({"properties": [{"key": "n", "value": 4, "operator": "lt"}]}, 1),
        ({"filterTestAccounts": True}, 5),
    ],
)
def test_filters_narrow_a_query(table: Table, filters: dict[str, Any] | None, count: int) -> None:
    no_example = ({"key": "email", "value": "@example.com", "operator": "not_icontains", "type": "person"},)
    assert table.ask("SELECT count() FROM events WHERE {filters}", filters=filters, test_account_filters=no_example) == [[count]]


def test_limits_are_filled_in_lowered_and_left_alone_inside(table: Table) -> None:
    def made(text: str) -> str:
        return translate(text, table.request()).sql

    assert made("SELECT event FROM events").endswith("LIMIT 101")
    assert made("SELECT event FROM events LIMIT 1000000").endswith("LIMIT 50000")
    assert made("SELECT event FROM events LIMIT 10 + 1").endswith("LIMIT least(50000, plus(10, 1))")
    assert made("SELECT 1 UNION ALL SELECT 2").count("LIMIT 100") == 2
    assert "1000000) AS" in made("SELECT * FROM (SELECT event FROM events LIMIT 1000000) LIMIT 5")


def test_only_a_query_without_a_limit_is_paged(table: Table) -> None:
    pages = [translate(text, table.request()).page for text in ("SELECT 1", "SELECT 1 LIMIT 5", "SELECT 1 UNION ALL SELECT 2")]
    assert pages == [100, None, None]


def test_columns_are_named_as_hogql(table: Table) -> None:
    text = "SELECT count(), toDate(timestamp), properties.$browser, person.properties.email, 1 + 2, event AS e FROM events"
    names = ("count()", "toDate(timestamp)", "$browser", "email", "plus(1, 2)", "e")
    assert translate(text, table.request()).columns == names


def test_every_read_of_events_is_of_one_project(table: Table) -> None:
    text = "SELECT person.id, group_0.key FROM events WHERE uuid IN (SELECT uuid FROM events) AND person_id IN (SELECT id FROM persons)"
    sql = translate(text, table.request()).sql
    assert sql.count("team_id") == 5


def test_a_query_may_be_large_but_not_endless(table: Table) -> None:
    with pytest.raises(HogQLError, match="too large"):
        translate("SELECT 1, 2, 3", table.request(), max_elements=3)
