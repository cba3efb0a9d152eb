"""From the oracle's rows to the log that the engine reads, in plain loops."""

import json
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from backtest.assembly import Rows, assemble
from backtest.events import Column, EventLog, Path, Window, event_log
from backtest.language import Hypothesis
from backtest.plan import ReadPlan, plan_reads
from tests.backtest.oracle import Row, look_up
from tests.backtest.random_logs import PATHS, TYPES, Log


def column_of(rows: Iterable[Row], path: Path) -> Column:
    """Codes by distinct JSON text, as a reader of raw properties makes them."""
    texts: dict[str, int] = {}
    values: list[Any] = []
    codes = []
    for row in rows:
        value = look_up(row.properties, path)
        if value is None:
            codes.append(-1)
            continue
        text = json.dumps(value)
        if text not in texts:
            texts[text] = len(values)
            values.append(value)
        codes.append(texts[text])
    return Column(np.array(codes, np.int32), values)


def engine_log(log: Log, hypothesis: Hypothesis) -> EventLog:
    return assemble(*_parts(log, hypothesis))


def _parts(log: Log, hypothesis: Hypothesis) -> tuple[Rows, ReadPlan, dict[str, str], dict[str, Any]]:
    delivered: dict[str, Row] = {}
    kept = []
    for row in log.rows:
        if row.at >= log.end or (row.uuid is not None and row.uuid in delivered):
            continue
        if row.uuid is not None:
            delivered[row.uuid] = row
        kept.append(row)
    units, names, persons = (sorted({getattr(row, field) for row in kept}) for field in ("unit", "event", "person"))
    (plan,) = plan_reads([hypothesis], Window(log.start, log.end))
    rows = Rows(
        units=units,
        names=names,
        unit=np.array([units.index(row.unit) for row in kept], np.int32),
        name=np.array([names.index(row.event) for row in kept], np.int32),
        at=np.array([row.at for row in kept], np.int64),
        persons=np.array([persons.index(row.person) for row in kept], np.int32),
        columns={tuple(path.split(".")): column_of(kept, tuple(path.split("."))) for path in PATHS},
    )
    cohorts = {cohort: np.array([unit in members for unit in units], np.bool_) for cohort, members in log.cohorts.items()}
    return rows, plan, TYPES, cohorts


def only_what_the_plan_asks(full: EventLog, hypothesis: Hypothesis) -> EventLog:
    """The same log as a reader that fetches no more than the plan would give it."""
    (plan,) = plan_reads([hypothesis], full.window)
    name_of = np.empty(len(full.at), np.int32)
    for code, name in enumerate(full.names):
        name_of[slice(*full.slices.get(name, (0, 0)))] = code
    keep = np.full(len(full.at), plan.every_event) | np.isin(name_of, [code for code, name in enumerate(full.names) if name in plan.names])
    for path in plan.carrying:
        keep |= full.columns[path].codes >= 0
    columns = {}
    for path, wanted in plan.columns.items():
        codes = full.columns[path].codes.copy()
        if wanted is not None:
            codes[~np.isin(name_of, [code for code, name in enumerate(full.names) if name in wanted])] = -1
        columns[path] = Column(codes[keep], full.columns[path].values)
    lean = event_log(
        window=full.window,
        units=full.units,
        names=full.names,
        unit=full.unit[keep],
        name=name_of[keep],
        at=full.at[keep],
        presence=full.presence,
        firsts=full.firsts,
        persons=full.persons[keep] if plan.persons and full.persons is not None else None,
        columns=columns,
        types=full.types,
    )
    return replace(lean, seeds=full.seeds, cohorts=full.cohorts)
