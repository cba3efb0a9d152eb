"""`beton bench prompts`: every prompt in every world, so that a change of words is measured like a change of code.

Each prompt has a situation that brings it up: a whole run (`mine` and `task`), a run whose first answer is spoilt (`again`), and a run that must end
at once after the model has seen candidates (`last`). What is counted is what the model answers to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from agent.budget import LIMITS, Budget, Limits
from agent.discovery import Discovery, mentioned
from agent.messages import Message, Model, ModelFailure, Reply, Tool
from agent.mine import Mined, mine
from agent.prompting import PACKAGED, PromptRefused, Prompts, load_prompts
from agent.record import Turn
from agent.search import discover
from beton.bench.projects import Project, opened_world, worlds
from beton.bench.scripted import GoodModel
from beton.errors import BadInput
from beton.settings import load_settings
from beton.work.the_model import chosen_model

SCALE = 0.5
MOST = 10
COLUMNS = (
    "prompts",
    "prompt",
    "digest",
    "world",
    "asked",
    "usable",
    "attempts",
    "passed",
    "noted",
    "causes right",
    "steps right",
    "tokens",
    "seconds",
)


@dataclass
class Spoilt:
    """A model whose first answer is lost."""

    inner: Model
    asked: int = 0

    @property
    def name(self) -> str:
        return self.inner.name

    @property
    def host(self) -> str:
        return self.inner.host

    def turn(self, messages: Sequence[Message], tools: Sequence[Tool]) -> Reply:
        self.asked += 1
        if self.asked == 1:
            raise ModelFailure("malformed", "The answer is no JSON of the form that was asked for.", text="Certainly! I would be glad to help.")
        return self.inner.turn(messages, tools)


def run_prompts_bench(
    seed: int = 1,
    *,
    given: Sequence[str] = (),
    folders: Sequence[str] = (),
    make: Callable[[], Model] = GoodModel,
    budget: Budget | None = None,
    scale: float = SCALE,
    tell: Callable[[str], None] = lambda _line: None,
) -> dict[str, Any]:
    """One row per folder of prompts, prompt and world. `make` gives a model for each run, `budget` holds for each. Raises BadInput for prompts that
    are refused."""
    sets = {str(folder or "packaged"): _loaded(Path(folder) if folder else PACKAGED) for folder in folders or ("",)}
    budget = budget or Budget(clock=_now)
    rows: list[dict[str, Any]] = []
    for name in worlds(given):
        tell(name)
        with opened_world(name, seed, scale) as project:
            singles = project.singles()
            discovery = discover(project.question, singles, project.log(singles), taxonomy=project.taxonomy)
        for called, prompts in sets.items():
            rows += [{"prompts": called, "world": name} | row for row in _rows(project, discovery, prompts, make, budget)]
    return {"seed": seed, "scale": scale, "model": make().name, "prompts": {called: one.digests for called, one in sets.items()}, "rows": rows}


def configured() -> tuple[Callable[[], Model], Budget]:
    """The model of the settings with the limits of one run; one that follows a script where none is configured."""
    own = load_settings()
    model = asyncio.run(chosen_model(own))
    if model is None:
        return GoodModel, Budget(clock=_now)
    limits = Limits(*(getattr(own.model, f"run_{name}") for name in LIMITS))
    priced = Budget(clock=_now, run=limits, price_in=own.model.price_in, price_out=own.model.price_out, context_tokens=own.model.context_tokens)
    return lambda: model, priced


def _now() -> datetime:
    return datetime.now(UTC)


def _loaded(folder: Path) -> Prompts:
    try:
        return load_prompts(folder)
    except (PromptRefused, OSError, UnicodeDecodeError) as refused:
        raise BadInput(f"The prompts of {folder} cannot be used: {refused}", fix="Give a folder with the four files of prompts/.") from refused


def _rows(project: Project, discovery: Discovery, prompts: Prompts, make: Callable[[], Model], budget: Budget) -> Iterator[dict[str, Any]]:
    def run(model: Model, limits: Limits) -> Mined:
        afresh = replace(discovery, attempts={}, concluded=False)
        return mine(afresh, project.taxonomy, model=model, budget=replace(budget, run=limits), most=MOST, prompts=prompts)

    whole = run(make(), budget.run)
    spoilt = run(Spoilt(make()), replace(budget.run, calls=min(3, budget.run.calls)))
    short = run(make(), replace(budget.run, calls=min(2, budget.run.calls)))
    for name, mined, wanted in (("mine", whole, None), ("task", whole, "task"), ("again", spoilt, "again"), ("last", short, "last")):
        turns = [one for one in mined.record.turns if wanted is None or one.prompt == wanted]
        answered = [one for one in turns if not (name == "task" and one.failed == "adapting")]
        yield {
            "prompt": name,
            "digest": prompts.digests.get(name, ""),
            **_counted(answered),
            **(_told(project, mined) if wanted != "task" else NOTHING),
        }


NOTHING: dict[str, Any] = {"noted": None, "causes_right": None, "causes_told": None, "steps_right": None, "steps_told": None, "stopped": None}


def _counted(turns: Sequence[Turn]) -> dict[str, Any]:
    return {
        "asked": len(turns),
        "usable": sum(one.tool is not None and one.failed is None for one in turns),
        "attempts": sum(one.tool == "attempt" for one in turns),
        "passed": sum(one.outcome == "passes the gates" for one in turns),
        "tokens": sum(one.tokens_in + one.tokens_out for one in turns),
        "seconds": round(sum(one.seconds for one in turns), 2),
    }


def _told(project: Project, mined: Mined) -> dict[str, Any]:
    """What the model said of the proposals, against what is planted: behaviour that was called a cause and is about one, and steps of the outcome's
    own path or after it that were called so."""
    causes = {name for one in (*project.planted("cause"), *project.planted("decaying")) for name in mentioned(one)}
    steps = {name for label in ("own_path", "after_outcome") for one in project.trapped(label) for name in mentioned(one)}
    flags = [(mentioned(one.hypothesis), words.flag) for one in mined.found.proposals if (words := mined.words.get(one.hypothesis.fingerprint))]
    called = [names for names, flag in flags if flag == "cause"]
    trapped = [flag for names, flag in flags if names & steps]
    return {
        "noted": len(flags),
        "causes_right": sum(bool(names & causes) for names in called),
        "causes_told": len(called),
        "steps_right": sum(flag in ("own_path", "consequence") for flag in trapped),
        "steps_told": len(trapped),
        "stopped": mined.record.stopped_because,
    }


def rows(found: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """The cells of the table, as in `COLUMNS`."""
    for one in found["rows"]:
        yield (
            one["prompts"],
            one["prompt"],
            one["digest"][:12],
            one["world"],
            str(one["asked"]),
            str(one["usable"]),
            str(one["attempts"]),
            str(one["passed"]),
            "–" if one["noted"] is None else str(one["noted"]),
            _share(one["causes_right"], one["causes_told"]),
            _share(one["steps_right"], one["steps_told"]),
            f"{one['tokens']:,}",
            f"{one['seconds']:.1f}",
        )


def _share(right: int | None, told: int | None) -> str:
    return "–" if not told else f"{right} of {told}"
