"""A workspace as large as one gets: hypotheses with the results of real searches, and very many signals with sealed units, receipts and deliveries.

Rows are written as the store would write them, but many to a statement and without the audit log: nobody decided anything here.
"""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from random import Random
from typing import Any

from agent.found import Proposal
from agent.search import search
from backtest import Hypothesis as Definition
from backtest.sentence import sentence
from backtest.verdict import Bar, judge
from beton.bench.projects import opened_world
from beton.lifecycle import Status
from beton.roles import Permission, Role
from beton.signals import DeliveryStatus, Feedback
from beton.store import api_keys, backtests, connections, members, routes, runs, sessions
from beton.store.columns import Row, table_of
from beton.store.delivery_tables import DeliveryRow
from beton.store.migrate import migrate
from beton.store.records import Connection, Destination, Run
from beton.store.signals import message_id
from beton.store.store import Store, Transaction
from beton.store.tables import BacktestRow, HypothesisRow, HypothesisVersionRow, SignalFeedbackRow, SignalRow

Tell = Callable[[str], None]
STANDINGS = (
    *[Status.PROPOSED] * 11, *[Status.REJECTED] * 5, *[Status.APPROVED] * 2, Status.SNOOZED, Status.RETIRED,
)  # fmt: skip
"""Of twenty hypotheses, how many stand where."""

AT_ONCE = 50_000
"""Signals in one transaction."""

DAYS = 180
DELIVERED = 10
"""One in so many signals has a delivery in the log."""

SAMPLED = 300
ADMIN = "bench@beton.invalid"


@dataclass
class Filled:
    """What a reader of the workspace needs to know: two ways in, and what there is to ask for."""

    link: str
    key: str
    hypotheses: list[str] = field(default_factory=list)
    proposed: list[str] = field(default_factory=list)
    sending: list[str] = field(default_factory=list)
    signals: list[str] = field(default_factory=list)
    units: list[str] = field(default_factory=list)
    middle_signal: str = ""
    middle_hypothesis: str = ""
    middle_proposed: str = ""


@dataclass(frozen=True)
class Sender:
    """An approved hypothesis, as its signals name it."""

    id: str
    type: str
    fingerprint: str
    events: tuple[str, ...]


def fill(store: Store, *, signals: int, hypotheses: int, seed: int, tell: Tell = lambda _line: None) -> Filled:
    """Write everything; the same seed writes the same, but for keys and nonces."""
    drawn = Random(seed)  # noqa: S311 - nothing here is secret
    tell("Searching a world, for hypotheses with the numbers of real searches")
    found = _found(seed)
    with store.transaction() as tx:
        connection = connections.add(tx, name="shop", host="https://posthog.invalid", project_id="1", api_key="phx_bench", actor="bench")
        nowhere = Destination(address="https://crm.invalid", settings={"url": "https://crm.invalid/hook", "secret": "whsec_bench"})
        route = routes.add(tx, name="crm", destination=nowhere, actor="bench")
        admin = members.add(tx, ADMIN, Role.ADMIN, actor="bench")
        _, link = sessions.make_link(tx, "sign_in", ADMIN, actor="bench")
        _, key = api_keys.issue(tx, "bench", list(Permission), actor="bench")
        run = runs.queue(tx, "propose", connection_id=connection.id)
        runs.finish(tx, run.id, runs.RunStatus.DONE)
    told = Filled(link, key)
    tell(f"Writing {hypotheses:,} hypotheses")
    senders = _hypotheses(store, told, drawn, found, connection, run, hypotheses, signals)
    made = _signals(store, drawn, senders, connection, signals, admin.id)
    indexes = _without_indexes(store)
    for number in range(0, signals, AT_ONCE):
        tell(f"Writing signals: {number:,} of {signals:,}")
        _write(store, told, drawn, list(islice(made, AT_ONCE)), route.id, keep=max(1, signals // SAMPLED))
    tell("Making indexes")
    with store.transaction() as tx:
        _with_room(tx)
        for sql in indexes:
            tx.session.connection().exec_driver_sql(sql)
    migrate(store.engine)  # what SQLite expects of indexes goes with them
    told.middle_signal = told.signals[len(told.signals) // 2]
    return told


def _without_indexes(store: Store) -> list[str]:
    """Drop what is quicker made anew than kept up to date a million times; the statements that make it."""
    known = "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND tbl_name IN ('signal', 'delivery') AND sql IS NOT NULL"
    with store.transaction() as tx:
        connection = tx.session.connection()
        found = connection.exec_driver_sql(known).all()
        for name, _ in found:
            connection.exec_driver_sql(f'DROP INDEX "{name}"')
    return [sql for _, sql in found]


def _with_room(tx: Transaction) -> None:
    """Memory for the pages of keys, which come in no order."""
    tx.session.connection().exec_driver_sql("PRAGMA cache_size = -400000")


def _found(seed: int) -> Sequence[Proposal]:
    with opened_world("freemium", seed, 0.1) as project:
        singles = project.singles()
        return search(project.question, singles, project.log(singles)).proposals


def _hypotheses(
    store: Store, told: Filled, drawn: Random, found: Sequence[Proposal], connection: Connection, run: Run, count: int, signals: int
) -> list[Sender]:
    """Variants of what was found, each asking for another age of the unit besides; who of them sends signals."""
    made: list[tuple[dict[str, Any], dict[str, Any]]] = []
    senders: list[Sender] = []
    with store.transaction() as tx:
        for number in range(count):
            one = found[number % len(found)]
            meaning = _variant(one.hypothesis, number)
            row, result = _rows(
                tx, drawn, one, meaning, connection, run, STANDINGS[number % len(STANDINGS)], tx.now - timedelta(minutes=count - number)
            )
            made.append((row, result))
            if row["status"] == Status.APPROVED:
                senders.append(Sender(row["id"], row["type"], row["fingerprint"], tuple(sorted(_events(meaning)))))
        for row, _ in made:
            row["fired_count"] = signals // max(1, len(senders)) if row["status"] == Status.APPROVED else 0
        tx.insert_many(HypothesisRow, (row for row, _ in made))
        tx.insert_many(BacktestRow, (result for _, result in made))
        tx.insert_many(HypothesisVersionRow, (_version(row) for row, _ in made))
    told.hypotheses = [row["id"] for row, _ in made]
    ranked = sorted((row for row, _ in made if row["status"] == Status.PROPOSED), key=lambda row: row["rank"])
    told.proposed, told.sending = [row["id"] for row in ranked], [one.id for one in senders]
    told.middle_hypothesis, told.middle_proposed = told.hypotheses[count // 2], told.proposed[len(ranked) // 2]
    return senders


def _variant(known: Definition, number: int) -> Definition:
    told = known.canonical().to_json()
    return Definition.model_validate(told | {"clauses": [*told["clauses"][:2], {"kind": "age", "at_least": f"{number + 1}m"}]})


def _rows(
    tx: Transaction, drawn: Random, one: Proposal, meaning: Definition, connection: Connection, run: Run, status: Status, at: datetime
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A hypothesis and its result, a little better or worse than the one that was found."""
    clears = judge(one.backtest, Bar(), selected=True).clears
    row_id, result_id = _id(drawn, "hyp"), _id(drawn, "bkt")
    live = at if status is Status.APPROVED else None
    result = one.backtest | {"shrunken_lift": one.shrunken_lift * drawn.uniform(0.5, 1.5)}
    kept = {"fingerprint": meaning.fingerprint, "workspace_id": tx.workspace_id, "created_at": at}
    row = kept | {
        "id": row_id, "connection_id": connection.id, "name": sentence(meaning)[:80], "version": 1, "definition": meaning.canonical().to_json(),
        "sentence": sentence(meaning), "type": meaning.outcome.goal.value, "status": str(status), "row_version": 2, "source": "search",
        "selected": True, "rejected_reason": "Known." if status is Status.REJECTED else None,
        "snoozed_until": at + timedelta(days=30) if status is Status.SNOOZED else None,
        "newest_backtest_id": result_id, "verdict": {True: "clears", False: "does_not_clear", None: "cannot_tell"}[clears],
        "rank": backtests.rank_of(clears, result), "live_from": live, "live_since": live, "updated_at": at,
    }  # fmt: skip
    told = kept | {
        "id": result_id, "hypothesis_id": row_id, "hypothesis_version": 1, "run_id": run.id, "as_of": at, "window_days": 90.0, "result": result,
        "clears": clears, "digest": backtests.digest_of(result),
    }  # fmt: skip
    return row, told


def _version(row: dict[str, Any]) -> dict[str, Any]:
    kept = ("version", "workspace_id", "fingerprint", "definition", "sentence", "created_at")
    promise = row["newest_backtest_id"] if row["status"] == Status.APPROVED else None
    return {name: row[name] for name in kept} | {"hypothesis_id": row["id"], "backtest_id": promise}


def _events(meaning: Definition) -> Iterator[str]:
    for clause in meaning.clauses:
        for _, value in clause:
            yield from getattr(value, "events", ())


def _signals(store: Store, drawn: Random, senders: Sequence[Sender], connection: Connection, count: int, owner: str) -> Iterator[dict[str, Any]]:
    """The oldest first. Each unit fires about four times, some hypotheses much more often than others."""
    end = store.clock()
    step = timedelta(days=DAYS) / count
    units = max(1, count // 4)
    for number in range(count):
        sender = senders[int(len(senders) * drawn.random() ** 2)]
        at = end - step * (count - number)
        yield {
            "id": _id(drawn, "sig"), "workspace_id": store.workspace_id, "connection_id": connection.id, "hypothesis_id": sender.id,
            "hypothesis_version": 1, "type": sender.type, "unit_kind": "person",
            "unit_id": f"person-{number % units}@example.invalid",
            "occurrence": number // units + 1, "fired_at": at - timedelta(minutes=drawn.randrange(1, 60)), "detected_at": at,
            "confidence": round(drawn.uniform(0.05, 0.6), 3), "receipts": [_receipt(sender, at, place) for place in range(drawn.randrange(2, 6))],
            "owner_id": owner if number % 20 == 0 else None, "fingerprint": sender.fingerprint,
        }  # fmt: skip


def _receipt(sender: Sender, at: datetime, place: int) -> dict[str, Any]:
    name = sender.events[place % len(sender.events)] if sender.events else "opened"
    return {"event": name, "at": (at - timedelta(hours=place + 1)).isoformat().replace("+00:00", "Z"), "event_id": None}


def _write(store: Store, told: Filled, drawn: Random, made: list[dict[str, Any]], route_id: str, *, keep: int) -> None:
    with store.transaction() as tx:
        _with_room(tx)
        fingerprints = [one.pop("fingerprint") for one in made]
        for one in made:
            unit = one.pop("unit_id")
            one["unit_key"] = tx.unit_key(one["connection_id"], one["unit_kind"], unit)
            one["unit_sealed"] = tx.sealer.seal(unit, tx.place("signal", one["id"], "unit_sealed"))
        _insert(tx, SignalRow, made)
        _insert(tx, SignalFeedbackRow, [_feedback(tx, drawn, one) for one in made[::33]])
        sent = zip(made[::DELIVERED], fingerprints[::DELIVERED], strict=True)
        _insert(tx, DeliveryRow, [_delivery(drawn, one, fingerprint, route_id) for one, fingerprint in sent])
    told.signals += [one["id"] for one in made[::keep]]
    told.units += [one["unit_key"] for one in made[::keep]]


def _insert(tx: Transaction, row_type: type[Row], rows: Sequence[dict[str, Any]]) -> None:
    """What `insert_many` writes, by the driver alone: columns and what stands where nothing is said are looked at once, not once in each row."""
    connection, columns = tx.session.connection(), table_of(row_type).c
    unsaid = {name: one.default for name, one in row_type.model_fields.items() if name not in rows[0] and not one.is_required()}
    written = {name: columns[name].type.dialect_impl(connection.dialect).bind_processor(connection.dialect) for name in (*rows[0], *unsaid)}
    places = ", ".join("?" * len(written))
    into = f"INSERT INTO {row_type.__tablename__} ({', '.join(written)}) VALUES ({places})"
    values = [tuple(row[name] if write is None else write(row[name]) for name, write in written.items()) for row in (unsaid | one for one in rows)]
    connection.exec_driver_sql(into, values)


def _feedback(tx: Transaction, drawn: Random, one: dict[str, Any]) -> dict[str, Any]:
    about = {"signal_id": one["id"], "workspace_id": tx.workspace_id, "hypothesis_id": one["hypothesis_id"]}
    return about | {"verdict": str(drawn.choice(list(Feedback))), "actor": "bench", "at": one["detected_at"]}


def _delivery(drawn: Random, one: dict[str, Any], fingerprint: str, route_id: str) -> dict[str, Any]:
    status = DeliveryStatus.DEAD if drawn.random() < 0.002 else DeliveryStatus.DELIVERED
    return {
        "id": _id(drawn, "dlv"), "workspace_id": one["workspace_id"], "signal_id": one["id"], "route_id": route_id, "status": str(status),
        "attempts": 1, "message_id": message_id(fingerprint, one, route_id), "created_at": one["detected_at"],
        "delivered_at": one["detected_at"] if status is DeliveryStatus.DELIVERED else None,
    }  # fmt: skip


def _id(drawn: Random, prefix: str) -> str:
    """An id as `new_id` makes them, of drawn bytes."""
    return f"{prefix}_{b32encode(drawn.randbytes(12)).decode().rstrip('=').lower()}"
