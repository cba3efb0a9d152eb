"""From the rows a world wrote (JSON texts and all) to the engine's log, by plain means: nothing of the generator is used."""

import json
from collections.abc import Sequence

import numpy as np
import polars as pl

from backtest.assembly import Rows, assemble
from backtest.durations import DAY
from backtest.events import Column, EventLog, Window
from backtest.language import Hypothesis
from backtest.plan import plan_reads
from backtest.score import Score, score
from backtest.values import dig
from beton.sandbox.worlds import World


def log_of(world: World, hypotheses: Sequence[Hypothesis], *, whole_history: bool = False, only: set[str] | None = None) -> EventLog:
    """`only`: units to keep; `whole_history` scores everything there is instead of the window."""
    truth = world.truth
    end = int(np.datetime64(truth["as_of"].removesuffix("Z"), "us").astype(np.int64))
    start = int(np.datetime64(truth["history_from"].removesuffix("Z"), "us").astype(np.int64))
    window = Window(start if whole_history else int(end - truth["window_days"] * DAY), end)
    (plan,) = plan_reads(hypotheses, window)
    unit_column = "person_id" if plan.unit == "person" else plan.unit.group
    frame = world.events.filter(pl.col(unit_column) != "").unique("uuid", keep="first", maintain_order=True)
    if only is not None:
        frame = frame.filter(pl.col(unit_column).is_in(list(only)))
    units = sorted(frame[unit_column].unique().to_list())
    names = sorted(frame["event"].unique().to_list())
    people = sorted(frame["person_id"].unique().to_list())
    paths = {*plan.columns, *(one.property for match in plan.firsts.values() if match for one in match.where)}
    rows = Rows(
        units=units,
        names=names,
        unit=_codes(frame[unit_column], units),
        name=_codes(frame["event"], names),
        at=frame["timestamp"].to_physical().to_numpy(),
        persons=_codes(frame["person_id"], people),
        columns={path: _column(frame, path) for path in paths},
    )
    return assemble(rows, plan, truth["property_types"])


def _codes(texts: pl.Series, known: list[str]) -> np.ndarray:
    return texts.replace_strict(known, list(range(len(known))), return_dtype=pl.Int32).to_numpy()


def _column(frame: pl.DataFrame, path: tuple[str, ...]) -> Column:
    distinct: dict[str, int] = {}
    values = []
    codes = np.full(len(frame), -1, np.int32)
    mentions = frame["properties"].str.contains(json.dumps(path[0]) + ":", literal=True)
    for row, text in zip(np.flatnonzero(mentions.to_numpy()), frame.filter(mentions)["properties"].to_list(), strict=True):
        value = dig(json.loads(text), path)
        if value is not None:
            key = json.dumps(value, sort_keys=True)
            if key not in distinct:
                distinct[key] = len(values)
                values.append(value)
            codes[row] = distinct[key]
    return Column(codes, values)


def scores_of(world: World, hypotheses: Sequence[Hypothesis], *, whole_history: bool = False, only: set[str] | None = None) -> list[Score]:
    log = log_of(world, hypotheses, whole_history=whole_history, only=only)
    return [score(hypothesis, log) for hypothesis in hypotheses]
