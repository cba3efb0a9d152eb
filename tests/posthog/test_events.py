"""Two readers, one log: what is read through PostHog's Query API scores exactly as the plain assembly of the same events."""

from collections.abc import Generator
from random import Random

import httpx
import orjson
import pytest

from backtest import Backtest, Hypothesis, Window, plan_reads
from backtest.durations import DAY, HOUR
from backtest.portable import add, dump
from beton.errors import PostHogTooHeavy
from beton.posthog.hogql import ROWS
from tests.backtest.random_logs import FIRST_DAY, Log, random_hypothesis
from tests.posthog.served_log import ServedLog, Server, random_served_log, served

pytest.importorskip("chdb", reason="the sandbox is an optional part of the installation")

BATCHES, SIZE, SINGLES = 1, 110, 6
MORE = [pytest.param(number, marks=pytest.mark.long) for number in (1, *range(10, 20))]


@pytest.fixture(scope="module")
def log() -> ServedLog:
    return random_served_log(first_seed=0, logs=60)


@pytest.fixture(scope="module")
def server(log: ServedLog, tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    with served(log, tmp_path_factory.mktemp("served")) as running:
        yield running


def random_window(dice: Random) -> Window:
    """Often not at midnight, and with events on both sides."""
    start = FIRST_DAY + dice.choice([0, 0, 7 * HOUR, DAY, 3 * DAY + 5 * HOUR + 1, -DAY])
    return Window(start, start + dice.choice([10 * DAY, 20 * DAY, 20 * DAY + 1, 30 * DAY, 36 * DAY + HOUR]))


def random_batch(dice: Random, size: int) -> list[Hypothesis]:
    """Hypotheses about persons and companies; a few look for first sessions of many hours."""
    shapes = [Log((), 0, 1, {}, accounts) for accounts in (False, False, True)]
    return [random_hypothesis(dice, dice.choice(shapes)) for _ in range(size)]


def at_hand(batch: list[Hypothesis], window: Window, log: ServedLog) -> Backtest:
    """By the plain assembly."""
    whole = Backtest(batch, keep_fires=True)
    for plan in plan_reads(batch, window):
        whole.add(plan.unit, log.assembled(plan))
    return whole


def over_http(batch: list[Hypothesis], window: Window, server: Server, bucket: tuple[int, int] | None = None) -> Backtest:
    """By the reader, through HTTP."""
    whole = Backtest(batch, keep_fires=True)
    for plan in plan_reads(batch, window):
        whole.add(plan.unit, server.read(plan, bucket))
    return whole


def differences(one: Backtest, other: Backtest) -> list[str]:
    """Which hypotheses fire or score differently, and how."""
    told = []
    for index, (hypothesis, left, right) in enumerate(zip(one.hypotheses, one.scores(), other.scores(), strict=True)):
        here, there = (set(whole.fires.get(index, ())) for whole in (one, other))
        if here != there:
            told.append(f"{hypothesis.to_json()}\n  fires {sorted(here - there)} against {sorted(there - here)}")
        elif left != right:
            told.append(f"{hypothesis.to_json()}\n  {left}\n  {right}")
    return told


@pytest.mark.parametrize("number", [*range(BATCHES), *MORE])
def test_a_log_read_through_http_scores_as_the_same_events_at_hand(log: ServedLog, server: Server, number: int) -> None:
    dice = Random(number)
    batch, window = random_batch(dice, SIZE), random_window(dice)
    assert differences(at_hand(batch, window, log), over_http(batch, window, server)) == []


@pytest.mark.parametrize("number", range(100, 100 + SINGLES))
def test_a_plan_of_one_hypothesis_asks_for_enough(log: ServedLog, server: Server, number: int) -> None:
    dice = Random(number)
    batch, window = random_batch(dice, 1), random_window(dice)
    assert differences(at_hand(batch, window, log), over_http(batch, window, server)) == []


# --- however the work is cut -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("buckets", [3, 7])
def test_hash_buckets_add_up_to_the_same_scores_also_as_json(log: ServedLog, server: Server, buckets: int) -> None:
    dice = Random(200)
    batch, window = [one for one in random_batch(dice, 5) if one.unit == "person"], Window(FIRST_DAY, FIRST_DAY + 14 * DAY)
    whole, revived = Backtest(batch, keep_fires=True), Backtest(batch)
    for number in range(buckets):
        part = over_http(batch, window, server, (number, buckets))
        add(revived, orjson.loads(orjson.dumps(dump(part))))
        for index, fires in part.fires.items():
            whole.fires.setdefault(index, []).extend(fires)
        add(whole, dump(part))
    assert differences(at_hand(batch, window, log), whole) == []
    assert dump(revived) == dump(whole)
    assert revived.scores() == whole.scores() == over_http(batch, window, server, (0, 1)).scores()


SHARED = "groupArray(tuple(u, f, l, h"


class Unwilling(httpx.AsyncHTTPTransport):
    """Hands requests on, but answers the first `times` queries with a row per unit itself, with `status` and `body`."""

    def __init__(self, times: int, status: int, body: bytes) -> None:
        super().__init__()
        self.left, self.status, self.body = times, status, body
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        asked = orjson.loads(await request.aread())
        if asked.get("name") == "packed unit histories":
            text = asked["query"]["query"]
            self.asked.append(text + str(asked["query"].get("values")))
            if self.left and SHARED not in text:
                self.left -= 1
                return httpx.Response(self.status, content=self.body, request=request)
        return await super().handle_async_request(request)


def timing_out(times: int) -> Unwilling:
    body = {"type": "server_error", "code": "error", "detail": "Query has hit the max execution time before completing.", "attr": None}
    return Unwilling(times, 504, orjson.dumps(body))


def overflowing(times: int) -> Unwilling:
    return Unwilling(times, 200, orjson.dumps({"results": [["u"]] * ROWS, "columns": ["u"], "types": []}))


@pytest.mark.parametrize("transport", [timing_out(1), timing_out(5), overflowing(1), overflowing(3)])
def test_slices_that_time_out_or_overflow_are_cut_and_the_log_stays_the_same(log: ServedLog, server: Server, transport: Unwilling) -> None:
    """The fields that say how a slice was cut may differ; what it scores may not. Nothing is asked twice."""
    dice = Random(300)
    batch, window = [one for one in random_batch(dice, 8) if one.unit == "person"], Window(FIRST_DAY + HOUR, FIRST_DAY + 20 * DAY)
    (plan,) = plan_reads(batch, window)
    cut = Backtest(batch, keep_fires=True)
    cut.add("person", server.read(plan, transport=transport))
    assert transport.left == 0
    assert differences(at_hand(batch, window, log), cut) == []
    assert len(set(transport.asked)) == len(transport.asked)


def test_a_day_that_is_too_heavy_is_read_in_parts_of_its_units(log: ServedLog, server: Server) -> None:
    batch = [random_hypothesis(Random(seed), Log((), 0, 1, {}, accounts=True)) for seed in range(8)]
    window = Window(FIRST_DAY + 9 * DAY + HOUR, FIRST_DAY + 10 * DAY)
    (plan,) = plan_reads(batch, window)
    transport = timing_out(3)
    cut = Backtest(batch, keep_fires=True)
    cut.add(plan.unit, server.read(plan, transport=transport))
    assert differences(at_hand(batch, window, log), cut) == []
    assert sum("part " in text for text in transport.asked) >= 4


def test_what_stays_too_heavy_is_told_after_a_few_queries(server: Server) -> None:
    (plan,) = plan_reads([Hypothesis.model_validate(SIMPLE)], Window(FIRST_DAY, FIRST_DAY + 7 * DAY))
    transport = timing_out(10_000)
    with pytest.raises(PostHogTooHeavy):
        server.read(plan, transport=transport)
    assert len(transport.asked) <= 12


SIMPLE = {
    "entry": "signed_up",
    "clauses": [{"kind": "did", "match": "viewed", "span": {"last": "2d"}}],
    "outcome": {"kind": "event", "match": "paid", "horizon": "2d"},
}


# --- what is asked of PostHog ----------------------------------------------------------------------------------------


def test_queries_are_polite(server: Server) -> None:
    """No OFFSET, no query twice, every row count stated, nothing refused (so only functions that PostHog has); every word as a placeholder."""
    server.post("reset", {})
    dice = Random(400)
    over_http(random_batch(dice, 15), random_window(dice), server)
    queries = server.queries()
    texts = [query["query"] for query in queries]
    assert {query["status"] for query in queries} == {200}
    assert not [text for text in texts if "OFFSET" in text.upper()]
    assert not [text for text in texts if "LIMIT 50000" not in text]
    assert not [text for text in texts if any(word in text for word in ("invited", "viewed", "enterprise", "signed_up", "amount"))]
    assert max(query["in_flight"] for query in queries) <= 3


def test_one_hypothesis_costs_few_queries(server: Server) -> None:
    server.post("reset", {})
    (plan,) = plan_reads([Hypothesis.model_validate(SIMPLE)], Window(FIRST_DAY, FIRST_DAY + 28 * DAY))
    server.read(plan)
    names = [query["name"] for query in server.queries()]
    assert sorted(set(names)) == [
        "activity before the window",
        "events and units per day",
        "first-ever entries and outcomes",
        "packed unit histories",
    ]
    assert len(names) <= 3 + 4


# --- names and times at their limits ---------------------------------------------------------------------------------


def test_more_than_250_event_names_are_told_apart(log: ServedLog, server: Server) -> None:
    """Then an event's code takes two bytes."""
    many = {"events": [f"never {number}" for number in range(400)] + ["viewed", "invited"]}
    batch = [
        Hypothesis.model_validate(SIMPLE | {"clauses": [{"kind": "did", "match": match, "at_least": 2, "span": {"last": "3d"}}]})
        for match in (many, "viewed", "shared")
    ]
    window = Window(FIRST_DAY, FIRST_DAY + 20 * DAY)
    assert differences(at_hand(batch, window, log), over_http(batch, window, server)) == []
