"""Projects to measure truth on: generated worlds, and a file of somebody's events, read as a backtest reads them."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from agent.conditions import Question, conditions
from backtest import EventLog, Hypothesis, Window, plan_reads
from backtest.language import Event
from backtest.matching import EventMatch
from backtest.taxonomy import Taxonomy
from beton.errors import BadInput
from beton.event_files import ColumnMap, EventFile, open_event_file
from beton.local_backtest import file_taxonomy, window_before
from beton.sandbox.worlds import World, WorldRefused, generate, load_world, world_names


@dataclass(frozen=True)
class OwnEvents:
    """A file of events and what is asked of it."""

    events: str
    outcome: str
    as_of: datetime
    entry: str | None = None
    horizon_days: int = 14
    window_days: int = 90


@dataclass
class Project:
    """An opened project. `truth` is empty for somebody's own events."""

    name: str
    file: EventFile
    question: Question
    window: Window
    truth: dict[str, Any] = field(default_factory=dict)

    def log(self, hypotheses: Sequence[Hypothesis]) -> EventLog:
        """Everything that these hypotheses look at."""
        (plan,) = plan_reads(hypotheses, self.window)
        (log,) = self.file.logs(plan, self.truth.get("property_types", {}), buckets=1)
        return log

    @cached_property
    def taxonomy(self) -> Taxonomy:
        """What the file knows of its events and properties."""
        return file_taxonomy(self.file, self.window, [self.question.ask({"kind": "age", "at_least": "1d"})])

    def singles(self) -> list[Hypothesis]:
        """The single conditions that a search tries."""
        found = conditions(self.question, self.taxonomy, self.window)
        if not found:
            raise BadInput(f"{self.name}: no event is used widely enough to search.", fix="Check --as-of and --window-days.")
        return found

    def planted(self, kind: str) -> list[Hypothesis]:
        """The causes (`cause`) or the causes that ended (`decaying`) of a world."""
        return [Hypothesis.model_validate(one["hypothesis"]) for one in self.truth["planted"] if one["kind"] == kind]

    def trapped(self, label: str) -> list[Hypothesis]:
        """What must be labelled."""
        return [Hypothesis.model_validate(one) for trap in self.truth["must_label"] if trap["label"] == label for one in trap["hypotheses"]]


def worlds(given: Sequence[str] = ()) -> list[str]:
    """Names or folders of worlds; all built-in ones unless some are given."""
    return list(given) or world_names()


def holds_events(name: str) -> bool:
    """A folder whose events were made already: no seed gives others."""
    return name not in world_names() and (Path(name) / "events.parquet").is_file()


@contextmanager
def opened_world(name: str, seed: int, scale: float = 1.0, *, null: bool = False) -> Generator[Project]:
    """A world, generated anew unless its folder holds its events. `null`: with nothing planted in it, which only a generated one can be."""
    with TemporaryDirectory() as folder:
        world, where = _world(name, seed, scale, null)
        if where is None:
            where = Path(folder)
            world.write(where)
        truth = world.truth
        unit = truth["unit"] if isinstance(truth["unit"], str) else truth["unit"]["group"]
        groups = {} if unit == "person" else {unit: unit}
        asked = {key: truth[key] for key in ("unit", "entry", "outcome") if truth.get(key) is not None}
        shape = Hypothesis.model_validate(asked | {"clauses": [{"kind": "age", "at_least": "1d"}]})
        window = window_before(datetime.fromisoformat(truth["as_of"]), round(truth["window_days"]))
        file = open_event_file(str(where / "events.parquet"), ColumnMap(groups=groups))
        yield Project(world.name, file, Question(shape.unit, shape.entry, shape.outcome), window, truth)


def _world(name: str, seed: int, scale: float, null: bool) -> tuple[World, Path | None]:
    try:
        if name in world_names():
            return generate(name, seed, scale=scale, null=null), None
        folder = Path(name)
        if holds_events(name):
            return load_world(folder), folder
        return load_world(folder, seed, scale=scale, null=null), None
    except WorldRefused as refused:
        raise BadInput(str(refused), fix="Name a built-in world, or a folder with a world.yaml.") from refused


def opened_events(own: OwnEvents) -> Project:
    """Somebody's own file of events; its units are persons."""
    entry = None if own.entry is None else EventMatch(events=(own.entry,))
    outcome = Event.model_validate({"kind": "event", "match": own.outcome, "horizon": f"{own.horizon_days}d"})
    window = window_before(own.as_of, own.window_days)
    return Project(own.events, open_event_file(own.events), Question("person", entry, outcome), window)
