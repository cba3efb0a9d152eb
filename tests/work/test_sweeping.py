"""The live sweep through store and sandbox: the same fires as the backtest, each once, whatever happens in between."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from backtest import Hypothesis, Window
from backtest.durations import DAY, HOUR, MINUTE
from backtest.live import forgets, horizon
from beton.lifecycle import Action
from beton.store import live, signals
from beton.store.records import Hypothesis as Kept
from beton.store.records import LiveMatch
from beton.store.store import Store
from beton.work.live_state import ENTRY, approved, scopes_of
from beton.work.sweeping import Swept, sweep
from beton.work.workplace import instant, microseconds
from tests.backtest.oracle import Row
from tests.backtest.random_logs import FIRST_DAY
from tests.conftest import Clock
from tests.posthog.served_log import Happened, ServedLog, random_served_log, served
from tests.work.workshop import Fired, Workshop, at_hand, fires_of, set_up, spread, telling

APPROVED, END = FIRST_DAY + 12 * DAY, FIRST_DAY + 24 * DAY
TESTED, WHOLE = Window(FIRST_DAY, APPROVED), Window(FIRST_DAY, END)
Open = Callable[[int], Workshop]


def hypothesis(clause: dict[str, object], **more: object) -> Hypothesis:
    outcome = {"kind": "event", "match": "paid", "horizon": "2d"}
    return Hypothesis.model_validate({"entry": "signed_up", "clauses": [clause], "outcome": outcome} | more)


VIEWS = hypothesis({"kind": "did", "match": "viewed", "at_least": 2, "span": {"last": "3d"}})
INVITES = hypothesis({"kind": "did", "match": "invited", "span": {"first": "6d"}})
SHARES = hypothesis({"kind": "did", "match": "shared", "span": {"last": "2d"}}, unit={"group": "company"}, fires_again_after="1d")


def still_to_come(batch: Sequence[Hypothesis], log: ServedLog, since: int = APPROVED) -> list[list[Fired]]:
    """The backtest's fires over the whole window, less those of the part that was approved on."""
    fires = at_hand(batch, WHOLE, log).fires
    return [sorted(fire for fire in fires.get(index, ()) if fire[1] >= since) for index in range(len(batch))]


# --- replay ----------------------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("step", [timedelta(days=13), timedelta(days=3, hours=5)])
def test_sweeps_send_exactly_the_fires_of_the_backtest(workshop: Open, log: ServedLog, step: timedelta) -> None:
    batch, bench = telling(log, WHOLE, APPROVED), workshop(APPROVED)
    rows = bench.approve(batch, TESTED)
    swept = [bench.sweep(now) for now in spread(APPROVED, END, step)]
    assert [fires_of(swept, row) for row in rows] == still_to_come(batch, log)


def test_sweeps_every_five_hours_send_exactly_the_fires_of_the_backtest(workshop: Open, log: ServedLog) -> None:
    batch, bench = [VIEWS, INVITES, SHARES], workshop(APPROVED)
    rows = bench.approve(batch, TESTED)
    swept = [bench.sweep(now) for now in spread(APPROVED, APPROVED + 5 * DAY, timedelta(hours=5))]
    expected = [[fire for fire in fires if fire[1] < APPROVED + 5 * DAY] for fires in still_to_come(batch, log)]
    assert [fires_of(swept, row) for row in rows] == expected


@pytest.mark.long
def test_hourly_sweeps_of_every_kind_of_clause_send_exactly_the_fires_of_the_backtest(workshop: Open, log: ServedLog) -> None:
    batch, bench = telling(log, WHOLE, APPROVED), workshop(APPROVED)
    rows = bench.approve(batch, TESTED)
    swept = [bench.sweep(now) for now in spread(APPROVED, APPROVED + 3 * DAY, timedelta(hours=1))]
    expected = [[fire for fire in fires if fire[1] < APPROVED + 3 * DAY] for fires in still_to_come(batch, log)]
    assert [fires_of(swept, row) for row in rows] == expected


def test_a_first_sweep_long_after_the_approval_sends_what_came_since(workshop: Open, log: ServedLog) -> None:
    batch, bench = [VIEWS, INVITES, SHARES], workshop(APPROVED)
    rows = bench.approve(batch, TESTED)
    first, second = bench.sweep(END), bench.sweep(END)
    assert [fires_of([first], row) for row in rows] == still_to_come(batch, log)
    assert first.started == 3
    assert first.already == sum(len({unit for unit, at, _ in fires if at < APPROVED}) for fires in at_hand(batch, WHOLE, log).fires.values())
    assert (second.started, second.signals) == (0, [])


def test_a_later_backtest_changes_neither_where_counting_begins_nor_what_was_promised(workshop: Open, log: ServedLog) -> None:
    """What counts as new is measured from the result that the person has seen."""
    bench = workshop(APPROVED)
    (row,) = bench.approve([VIEWS], TESTED)
    promised = at_hand([VIEWS], TESTED, log).scores()[0].precision
    bench.clock.now = instant(APPROVED + 6 * DAY)
    bench.test([VIEWS], Window(FIRST_DAY + 6 * DAY, APPROVED + 6 * DAY))
    swept = bench.sweep(END)
    assert [fires_of([swept], row)] == still_to_come([VIEWS], log)
    assert {signal.confidence for signal in swept.signals} == {promised}


# --- what arrives late -----------------------------------------------------------------------------------------------


def happened(at: int, name: str, person: str, **properties: object) -> Happened:
    return Happened(Row(person, name, at, dict(properties), person))


@dataclass(frozen=True)
class Late:
    """A workshop with a sandbox of its own, to which events may still be added."""

    bench: Workshop

    def arrives(self, *late: Happened) -> None:
        self.bench.server.post("events", [one.to_json() for one in late])


@pytest.fixture
def late(store: Store, clock: Clock, tmp_path: Path):
    few = random_served_log(first_seed=2000, logs=2)
    with served(few, tmp_path) as running:
        yield Late(set_up(running, store, clock, tmp_path, APPROVED))


def test_events_that_arrive_late_are_still_found(late: Late) -> None:
    bench = late.bench
    late.arrives(happened(APPROVED - 2 * DAY, "signed_up", "eve"), happened(APPROVED - 2 * DAY, "signed_up", "bob"))
    views, invites = bench.approve([VIEWS, INVITES], TESTED)
    now = APPROVED + 6 * HOUR
    bench.sweep(now)
    late.arrives(
        happened(now - 50 * MINUTE, "viewed", "eve"),
        happened(now - 40 * MINUTE, "viewed", "eve"),
        happened(now - 59 * MINUTE, "signed_up", "new"),  # an entry, too, may be late
        happened(now - 58 * MINUTE, "invited", "new"),
    )
    swept = bench.sweep(now + 5 * MINUTE)
    assert ("eve", now - 40 * MINUTE, 1) in fires_of([swept], views)
    assert fires_of([swept], invites) == [("new", now - 58 * MINUTE, 1)]


def test_two_matches_at_one_instant_are_two_also_when_read_twice(late: Late) -> None:
    bench, now = late.bench, APPROVED + 6 * HOUR
    (views,) = bench.approve([VIEWS], TESTED)
    bench.sweep(now)
    late.arrives(happened(now + MINUTE, "signed_up", "eve"), *[happened(now + 2 * MINUTE, "viewed", who) for who in ("eve", "eve", "bob")])
    late.arrives(happened(now + MINUTE, "signed_up", "bob"))
    assert fires_of([bench.sweep(now + 10 * MINUTE)], views) == [("eve", now + 2 * MINUTE, 1)]
    assert fires_of([bench.sweep(now + 20 * MINUTE)], views) == []


def test_who_entered_long_ago_does_not_enter_again(late: Late) -> None:
    bench, now = late.bench, APPROVED + 6 * HOUR
    late.arrives(happened(FIRST_DAY - 5 * DAY, "signed_up", "old"))
    (invites,) = bench.approve([INVITES], TESTED)
    bench.sweep(now)
    late.arrives(happened(now + MINUTE, "signed_up", "old"), happened(now + 2 * MINUTE, "invited", "old"))
    late.arrives(happened(now + MINUTE, "signed_up", "new"), happened(now + 2 * MINUTE, "invited", "new"))
    assert fires_of([bench.sweep(now + 10 * MINUTE)], invites) == [("new", now + 2 * MINUTE, 1)]


# --- once ------------------------------------------------------------------------------------------------------------


def test_sweeping_twice_or_twice_at_once_adds_nothing(workshop: Open, log: ServedLog) -> None:
    batch, bench = [VIEWS, INVITES, SHARES], workshop(APPROVED)
    rows = bench.approve(batch, TESTED)
    bench.sweep(APPROVED)

    async def both() -> list[Swept]:
        return await asyncio.gather(*(sweep(bench.place, bench.connection) for _ in range(2)))

    swept: list[Swept] = []
    for now in (APPROVED + 2 * DAY, APPROVED + 4 * DAY, END):
        bench.clock.now = instant(now)
        swept += asyncio.run(both())
        swept.append(bench.sweep(now))
        assert swept[-1].signals == []
    assert [fires_of(swept, row) for row in rows] == still_to_come(batch, log)


def test_two_first_sweeps_at_once_send_each_fire_once(workshop: Open, log: ServedLog) -> None:
    bench = workshop(APPROVED)
    (row,) = bench.approve([SHARES], TESTED)
    bench.clock.now = instant(END)

    async def both() -> list[Swept]:
        return await asyncio.gather(*(sweep(bench.place, bench.connection) for _ in range(2)))

    assert [fires_of(asyncio.run(both()), row)] == still_to_come([SHARES], log)


def test_a_paused_hypothesis_sends_nothing_and_a_resumed_one_what_was_missed(workshop: Open, log: ServedLog) -> None:
    bench = workshop(APPROVED)
    views, invites = bench.approve([VIEWS, INVITES], TESTED)
    bench.sweep(APPROVED)
    bench.decide(views, Action.PAUSE)
    paused = bench.sweep(APPROVED + 6 * DAY)
    assert fires_of([paused], views) == []
    assert fires_of([paused], invites) != []
    bench.decide(views, Action.RESUME)
    resumed = bench.sweep(END)
    expected = still_to_come([VIEWS, INVITES], log)
    assert [fires_of([resumed], views), fires_of([paused, resumed], invites)] == expected


class Meddling(Store):
    """A store in which somebody does something just before the n-th transaction."""

    def __init__(self, store: Store, before: int, act: Callable[[], None]) -> None:
        super().__init__(store.engine, store.sealer, store.clock, store.workspace_id)
        self.left, self.act = before, act

    @contextmanager
    def transaction(self):
        self.left -= 1
        if self.left == 0:
            self.act()
        with super().transaction() as tx:
            yield tx


def test_a_hypothesis_that_is_paused_during_a_sweep_sends_nothing_and_does_not_keep_the_others(workshop: Open, log: ServedLog) -> None:
    bench = workshop(APPROVED)
    views, invites = bench.approve([VIEWS, INVITES], TESTED)
    bench.sweep(APPROVED)
    store = Meddling(bench.place.store, 1, lambda: bench.decide(views, Action.PAUSE))  # after the news, before the first is recorded
    swept = replace(bench, place=replace(bench.place, store=store)).sweep(END)
    assert store.left < 0
    assert [fires_of([swept], views), fires_of([swept], invites)] == [[], still_to_come([INVITES], log)[0]]
    bench.decide(views, Action.RESUME)
    assert [fires_of([bench.sweep(END)], views)] == still_to_come([VIEWS], log)


# --- crashes ---------------------------------------------------------------------------------------------------------


class Killed(BaseException):
    """No error that anything would handle: as if the process were gone."""


class Fragile(Store):
    """A store that dies at the n-th transaction: as it begins, or as it is about to commit."""

    def __init__(self, store: Store, survives: int, *, at_the_end: bool) -> None:
        super().__init__(store.engine, store.sealer, store.clock, store.workspace_id)
        self.left, self.at_the_end = survives, at_the_end

    @contextmanager
    def transaction(self):
        self.left -= 1
        if self.left < 0 and not self.at_the_end:
            raise Killed
        with super().transaction() as tx:
            yield tx
            if self.left < 0:
                raise Killed


@pytest.mark.parametrize("at_the_end", [False, True])
def test_a_sweep_that_dies_anywhere_is_made_good_by_the_next(workshop: Open, log: ServedLog, at_the_end: bool) -> None:
    batch, bench = [VIEWS, INVITES, SHARES], workshop(APPROVED)
    rows = bench.approve(batch, TESTED)
    deaths = survives = 0
    for now in spread(APPROVED, END - HOUR, timedelta(days=1)):
        dying = replace(bench, place=replace(bench.place, store=Fragile(bench.place.store, survives, at_the_end=at_the_end)))
        try:
            dying.sweep(now)
            survives = 0
        except Killed:
            deaths, survives = deaths + 1, survives + 1
    assert deaths >= 6
    bench.sweep(END)
    assert [written(bench, row) for row in rows] == still_to_come(batch, log)


def written(bench: Workshop, row: Kept) -> list[Fired]:
    """All signals of a hypothesis that the store has."""
    with bench.place.store.reading() as tx:
        found = signals.listing(tx, hypothesis_id=row.id, limit=200)
    assert found.next_after is None
    return sorted((str(one.unit_id), microseconds(one.fired_at), one.occurrence) for one in found.data)


# --- one at fault ----------------------------------------------------------------------------------------------------

REFUSED = {"kind": "error", "status": 400, "path": "query", "code": "hogql_query_error", "detail": "Refused by a test."}


def test_a_first_sweep_that_fails_midway_goes_on_where_it_stopped_and_does_not_keep_the_others(late: Late) -> None:
    bench = late.bench
    rows = bench.approve([VIEWS, INVITES], TESTED)
    with bench.place.store.reading() as tx:
        first = approved(tx, bench.connection.id)[0]
    bench.server.post("reset", {})
    bench.server.post("faults", [REFUSED | {"after": 3}])  # the firsts, the sizes and one slice of the first hypothesis pass
    failed = bench.sweep(APPROVED + DAY)
    assert [(one.hypothesis_id, failed.started) for one in failed.failed] == [(first.row.id, 2)]
    slices = sum(query["name"] == "packed unit histories" for query in bench.server.queries())
    bench.server.post("reset", {})
    resumed = bench.sweep(APPROVED + DAY)
    names = [query["name"] for query in bench.server.queries()]
    assert "first-ever entries and outcomes" not in names
    assert 0 < names.count("packed unit histories") < slices
    assert resumed.failed == []
    for row in rows:
        with bench.place.store.reading() as tx:
            assert live.read_until(tx, bench.connection.id, scopes_of(row)[0]) == instant(APPROVED + DAY)


def test_news_that_are_refused_for_one_hypothesis_are_read_for_the_others(late: Late) -> None:
    bench = late.bench
    rows = bench.approve([VIEWS, INVITES], TESTED)
    bench.sweep(APPROVED)
    bench.server.post("faults", [REFUSED | {"times": 2}])  # the common read, and that of the first alone
    swept = bench.sweep(APPROVED + HOUR)
    assert len(swept.failed) == 1
    with bench.place.store.reading() as tx:
        reached = {live.read_until(tx, bench.connection.id, scopes_of(row)[0]) for row in rows}
    assert reached == {instant(APPROVED), instant(APPROVED + HOUR)}


# --- politeness and memory -------------------------------------------------------------------------------------------


def test_a_steady_sweep_of_three_hypotheses_of_two_unit_kinds_asks_at_most_five_queries(workshop: Open) -> None:
    bench = workshop(APPROVED)
    bench.approve([VIEWS, INVITES, SHARES], TESTED)
    bench.sweep(APPROVED + 2 * HOUR)
    counts = []
    for hours in range(3, 11):
        bench.server.post("reset", {})
        swept = bench.sweep(APPROVED + hours * HOUR)
        queries = bench.server.queries()
        counts.append((len(queries), len(swept.signals)))
        assert {query["name"] for query in queries} <= {"packed unit histories", "receipts of new signals", "accounts of new signals"}
    assert max(asked for asked, _ in counts) <= 5
    assert min(asked for asked, _ in counts) == 1
    print(f"queries and signals per sweep: {counts}")


@pytest.mark.long
def test_the_live_state_stays_small(workshop: Open, log: ServedLog) -> None:
    """One entry per unit; of trailing spans no more than the look-back, of first spans nothing outside of them, once all is settled."""
    batch, bench = [*telling(log, WHOLE, APPROVED), VIEWS, INVITES], workshop(APPROVED)
    rows = bench.approve(batch, TESTED)
    bench.sweep(APPROVED)
    bench.sweep(END - HOUR)
    bench.sweep(END)
    for row, one in zip(rows, batch, strict=True):
        matches, entries = remembered(bench, row)
        print(f"{len(matches):5} matches, {len(entries):5} entries, {len(log.happened)} events: {one.to_json()['clauses']}")
        assert len(entries) == len({match.unit_id for match in entries}) <= len(log.rows(one.unit).units)
        assert len(matches) <= len(log.happened)
        if forgets(one):
            assert min((match.at for match in matches), default=END) >= horizon(END) - one.look_back
    matches, entries = remembered(bench, rows[-1])
    entered = {match.unit_id: match.at for match in entries}
    settled = [match for match in matches if match.at < horizon(END)]
    assert all(entered[match.unit_id] <= match.at < entered[match.unit_id] + 6 * DAY for match in settled)
    assert len(matches) < sum(one.row.event == "invited" for one in log.happened) / 3


def remembered(bench: Workshop, row: Kept) -> tuple[list[LiveMatch], list[LiveMatch]]:
    """Matches and entries of a live hypothesis."""
    with bench.place.store.reading() as tx:
        matches, entries = (live.matches(tx, bench.connection.id, f"{row.id} v1{more}") for more in ("", f" {ENTRY}"))
    return matches, entries
