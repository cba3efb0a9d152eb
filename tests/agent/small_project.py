"""A small project that has been searched, made once; and the same project with other names in it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from agent.aliases import MATCHES
from agent.budget import Budget, Limits
from agent.discovery import Discovery
from agent.search import Question, discover
from backtest import EventLog, Hypothesis
from backtest.events import Column, first_key, outcome_key
from backtest.taxonomy import PropertyDefinition, Taxonomy
from beton.bench.projects import opened_world
from beton.local_backtest import file_taxonomy

ROLE_VALUES = ("admin", "editor", "member", "owner", "viewer")
ROLES = PropertyDefinition(name="role", type="string", values=ROLE_VALUES, cardinality=5)


@dataclass(frozen=True)
class Small:
    """A searched project; `fresh` is a discovery in which nothing was attempted."""

    discovery: Discovery
    taxonomy: Taxonomy

    def fresh(self) -> Discovery:
        return replace(self.discovery, attempts={}, concluded=False)


@cache
def _read() -> tuple[Question, list[Hypothesis], EventLog, Taxonomy]:
    with opened_world("freemium", 1, 0.5) as project:
        role = {"property": "role", "op": "equals", "value": "admin"}
        clause = {"kind": "did", "match": {"events": ["invited_teammate"], "where": [role]}, "span": {"first": "7d"}}
        singles = [*project.singles()[::4], project.question.ask(clause)]
        taxonomy = file_taxonomy(project.file, project.window, [singles[0]])
        known = tuple(ROLES if one.name == "role" else one for one in taxonomy.properties)
        return project.question, singles, project.log(singles), taxonomy.model_copy(update={"properties": known})


@cache
def small() -> Small:
    question, singles, log, taxonomy = _read()
    return Small(discover(question, singles, log), taxonomy)


class Ticking:
    """A clock that moves by `step` seconds whenever it is looked at."""

    def __init__(self, step: float = 0.0) -> None:
        self.now, self.step = datetime(2026, 5, 1, tzinfo=UTC), step

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=self.step)
        return self.now


def budget(*, clock: Callable[[], datetime] | None = None, waited: list[float] | None = None, **more: Any) -> Budget:
    """Nothing waits; `waited` collects for how long it would have."""
    limits = {key: more.pop(key) for key in ("calls", "tokens", "money", "seconds", "queries", "failures") if key in more}
    return Budget(clock=clock or Ticking(), run=Limits(**limits), wait=(waited if waited is not None else []).append, **more)


# --- other names -----------------------------------------------------------------------------------------------------


def renamed(events: Mapping[str, str], roles: Mapping[str, str], more: tuple[str, ...] = ()) -> Small:
    """The same behaviour under other names, searched anew; `more` are names of events that the taxonomy knows and nobody searched."""
    asked, searched, log, taxonomy = _read()
    singles = [_renamed_hypothesis(one, events, roles) for one in searched]
    question = _renamed_question(asked, events)
    old = asked.ask({"kind": "age", "at_least": "1d"})
    log = _renamed_log(log, old, question.ask({"kind": "age", "at_least": "1d"}), events, roles)
    listed = [one.model_copy(update={"name": events.get(one.name, one.name)}) for one in taxonomy.events]
    extra = [listed[0].model_copy(update={"name": name, "volume": 1, "units": 1, "properties": (), "description": name}) for name in more]
    properties = [
        one.model_copy(
            update={
                "events": None if one.events is None else tuple(events.get(name, name) for name in one.events),
                "values": (*(roles.get(value, value) for value in one.values), *more[:20]) if one.name == "role" else one.values,
            }
        )
        for one in taxonomy.properties
    ]
    taxonomy = taxonomy.model_copy(update={"events": (*listed, *extra), "properties": tuple(properties)})
    return Small(discover(question, singles, log), Taxonomy.model_validate(taxonomy.model_dump()))


def _renamed_question(question: Question, events: Mapping[str, str]) -> Question:
    asked = _renamed_hypothesis(question.ask({"kind": "age", "at_least": "1d"}), events, {})
    return Question(asked.unit, asked.entry, asked.outcome)


def _renamed_hypothesis(one: Hypothesis, events: Mapping[str, str], roles: Mapping[str, str]) -> Hypothesis:
    def walked(node: Any) -> Any:
        if isinstance(node, list):
            return [walked(part) for part in node]
        if not isinstance(node, dict):
            return node
        done = {key: walked(value) for key, value in node.items()}
        for key in MATCHES:
            if isinstance(done.get(key), str):
                done[key] = events.get(done[key], done[key])
        if "events" in done:
            done["events"] = [events.get(name, name) for name in done["events"]]
        if done.get("property") == "role":
            done["value"] = roles.get(done["value"], done["value"])
        return done

    return Hypothesis.model_validate(walked(one.to_json()))


def _renamed_log(log: EventLog, old: Hypothesis, new: Hypothesis, events: Mapping[str, str], roles: Mapping[str, str]) -> EventLog:
    keys = {first_key(old.entry): first_key(new.entry), outcome_key(old): outcome_key(new)}
    columns = {
        path: Column(one.codes, [roles.get(value, value) if isinstance(value, str) else value for value in one.values]) if path == ("role",) else one
        for path, one in log.columns.items()
    }
    return replace(
        log,
        names=[events.get(name, name) for name in log.names],
        slices={events.get(name, name): where for name, where in log.slices.items()},
        firsts={keys.get(key, key): value for key, value in log.firsts.items()},
        columns=columns,
        _of_names={},
    )
