"""`beton bench`: speed, memory and truthfulness, measured on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from beton.cli.options import FLAG, MANY, AsJson, AsOf, WindowDays, instant, now
from beton.cli.printing import number, print_json, say, table
from beton.errors import BadInput

if TYPE_CHECKING:
    from beton.bench.projects import OwnEvents

Seed = Annotated[int | None, Parameter(help="Decides every draw; a run can be repeated with it. Each member has its own unless given.")]
Worlds = Annotated[Sequence[str], MANY, Parameter(name="--world", help="A built-in world, or the folder of one. Repeatable. All built-in ones.")]


def kernel(
    *,
    events: Annotated[int, Parameter(help="Events of the made-up history.")] = 10_000_000,
    hypotheses: Annotated[int, Parameter(help="Hypotheses that are evaluated.")] = 1_000,
    file: Annotated[str | None, Parameter(help="The Parquet file to read; if there is none, the made-up history is written there.")] = None,
    threads: Annotated[int, Parameter(help="Threads that each competitor may use.")] = 2,
    full: Annotated[bool, FLAG, Parameter(help="Let competitors run every hypothesis, not a stated sample.")] = False,
    seed: Seed = None,
    as_json: AsJson = False,
) -> int:
    """The evaluation of hypotheses beside databases and data frames, with equal results as a condition."""
    found = _kernel(events, hypotheses, threads, full, seed, file)
    _told("kernel", found, as_json)
    return 0 if _kernel_holds(found) else 1


def truth(
    *,
    events: Annotated[str | None, Parameter(help="A file of events whose outcomes are shuffled too.")] = None,
    entry: Annotated[str | None, Parameter(help="Of the file: the event with which a person begins. The first of any name unless given.")] = None,
    outcome: Annotated[str | None, Parameter(help="Of the file: the event that is to be predicted.")] = None,
    horizon_days: Annotated[int, Parameter(name="--horizon-days", help="Of the file: days within which the outcome has to follow.")] = 14,
    as_of: AsOf = None,
    window_days: WindowDays = 90,
    world: Worlds = (),
    replicates: Annotated[int, Parameter(help="Searches on shuffled outcomes; everything else grows with them.")] = 200,
    seed: Seed = None,
    as_json: AsJson = False,
) -> int:
    """False finds where there is nothing, coverage of intervals, traps, ended effects, drift: each with its bound. Ends with 1 where one fails."""
    if replicates < 1:
        raise BadInput("--replicates is at least 1.")
    own = _own(events, entry, outcome, horizon_days, as_of, window_days)
    found = _truth(seed, world, own, replicates)
    _told("truth", found, as_json)
    return 0 if found["holds"] else 1


def agent(
    *,
    seed: Seed = None,
    seeds: Annotated[int, Parameter(help="Draws of each world, from --seed on.")] = 20,
    world: Worlds = (),
    parts: Annotated[str, Parameter(help="What to measure, of recovery, null, models and rivals; commas between.")] = "recovery,null,models,rivals",
    scale: Annotated[float, Parameter(help="Multiplies the units of generated worlds.")] = 1.0,
    with_pysubgroup: Annotated[bool, FLAG, Parameter(help="Install pysubgroup in an environment of its own, and compare with it too.")] = False,
    as_json: AsJson = False,
) -> int:
    """What the search finds of what is planted, with and without a model, and beside what one would run instead. Ends with 1 where a bound fails."""
    if seeds < 1 or scale <= 0:
        raise BadInput("--seeds is at least 1, --scale above 0.")
    from beton.bench.agent import run_agent_bench

    wanted = [one.strip() for one in parts.split(",") if one.strip()]
    start = 1 if seed is None else seed
    found = run_agent_bench(start, seeds=seeds, given=tuple(world), parts=wanted, scale=scale, with_pysubgroup=with_pysubgroup, tell=say)
    _told("agent", found, as_json)
    return 0 if found["holds"] else 1


def prompts(
    *,
    world: Worlds = (),
    seed: Seed = None,
    folder: Annotated[Sequence[str], MANY, Parameter(name="--prompts", help="A folder of prompts. Repeatable. Those of Beton unless given.")] = (),
    scale: Annotated[float, Parameter(help="Multiplies the units of generated worlds.")] = 0.5,
    as_json: AsJson = False,
) -> int:
    """What a model answers to every prompt in every world: the configured model, or one that follows a script where none is configured."""
    if scale <= 0:
        raise BadInput("--scale is above 0.")
    from beton.bench.prompts import COLUMNS, configured, rows, run_prompts_bench

    make, budget = configured()
    start = 1 if seed is None else seed
    found = run_prompts_bench(start, given=tuple(world), folders=tuple(folder), make=make, budget=budget, scale=scale, tell=say)
    if as_json:
        print_json(found)
    else:
        table(COLUMNS, rows(found), title=f"Prompts, answered by {found['model']}", right=COLUMNS[4:])
    return 0


def read(
    *,
    events: Annotated[int, Parameter(help="Events of the made-up project, about.")] = 1_000_000,
    seed: Seed = None,
    as_json: AsJson = False,
) -> int:
    """The packed reader beside paging through raw rows, on one local PostHog, with equal logs as a condition."""
    found = _read(events, seed)
    _told("read", found, as_json)
    return 0 if found["holds"] else 1


def desk(
    *,
    signals: Annotated[int, Parameter(help="Signals of the workspace.")] = 1_000_000,
    hypotheses: Annotated[int, Parameter(help="Hypotheses of the workspace, each with a result.")] = 5_000,
    rate: Annotated[float, Parameter(help="Requests a second, whatever the answers take.")] = 100,
    seconds: Annotated[float, Parameter(help="How long to ask.")] = 30,
    seed: Seed = None,
    as_json: AsJson = False,
) -> int:
    """Lists, details and the API of a server over a large workspace: how long answers take, and whether pages at depth cost the same as the first.
    Ends with 1 where a bound fails."""
    if signals < 1_000 or hypotheses < 100 or rate <= 0 or seconds <= 0:
        raise BadInput("--signals is at least 1000, --hypotheses at least 100, --rate and --seconds above 0.")
    from beton.bench.desk import run_desk_bench

    start = 1 if seed is None else seed
    found = run_desk_bench(signals=signals, hypotheses=hypotheses, rate=rate, seconds=seconds, seed=start, clock=now, tell=say)
    _told("desk", found, as_json)
    return 0 if found["holds"] else 1


def inbound(
    *,
    rate: Annotated[float, Parameter(help="Events a second, whatever the answers take.")] = 300,
    seconds: Annotated[float, Parameter(help="How long to send.")] = 30,
    as_json: AsJson = False,
) -> int:
    """Events sent to a server of its own by another process: how soon each is acknowledged, whether all are in the log, and what PostHog's watcher
    would think. Ends with 1 where a bound fails."""
    if rate <= 0 or seconds <= 0:
        raise BadInput("--rate and --seconds are above 0.")
    from beton.bench.inbound import run_inbound_bench

    found = run_inbound_bench(rate=rate, seconds=seconds, clock=now, tell=say)
    _told("inbound", found, as_json)
    return 0 if found["holds"] else 1


def crash(
    *,
    kills: Annotated[int, Parameter(help="How often a process is killed, shared among the databases.")] = 200,
    database: Annotated[Sequence[str], MANY, Parameter(help="sqlite or postgresql. Repeatable. Both unless given.")] = (),
    database_url: Annotated[str | None, Parameter(help="A PostgreSQL server on which databases may be made. One is started unless given.")] = None,
    seed: Seed = None,
    as_json: AsJson = False,
) -> int:
    """Kill processes during sweeps, deliveries, backtests and webhooks, and count what is lost or doubled. Ends with 1 where a bound fails."""
    from beton.bench.crash import COLUMNS, WORKERS, rows, run_crash_bench

    chosen = tuple(dict.fromkeys(database)) or tuple(WORKERS)
    if kills < len(chosen) or set(chosen) - set(WORKERS):
        raise BadInput(f"--kills is at least {len(chosen)}, --database one of {', '.join(WORKERS)}.")
    found = run_crash_bench(kills=kills, seed=1 if seed is None else seed, databases=chosen, database_url=database_url, tell=say)
    if as_json:
        print_json(found)
    else:
        table(COLUMNS, rows(found), title="Crash", right=COLUMNS[1:])
    return 0 if found["holds"] else 1


def rehearsal(
    *,
    months: Annotated[int, Parameter(help="Months of simulated time after the approval.")] = 3,
    seed: Seed = None,
    scale: Annotated[float, Parameter(help="Multiplies the units of the generated project.")] = 0.3,
    as_json: AsJson = False,
) -> int:
    """Months of an installation in minutes, with faults: what was lost or doubled, and whether promises were kept."""
    if months < 1 or scale <= 0:
        raise BadInput("--months is at least 1, --scale above 0.")
    from beton.bench.rehearsal import run_rehearsal

    found = run_rehearsal(months=months, seed=1 if seed is None else seed, scale=scale, tell=say)
    if as_json:
        print_json(found)
    else:
        table(("", ""), [(name, str(value)) for name, value in found.items() if name != "hypotheses"], title="Rehearsal", right=("",))
        for one in found["hypotheses"]:
            say(f"{one['hypothesis']} Promised {one['promised']}, realised {one['realised']}: {one['verdict']}.")
    return 0 if found["holds"] else 1


def everything(*, seed: Seed = None, as_json: AsJson = False) -> int:
    """Kernel, reading and truth, with their defaults."""
    found = {"kernel": _kernel(10_000_000, 1_000, 2, False, seed), "read": _read(1_000_000, seed), "truth": _truth(seed, (), None, 200)}
    if as_json:
        print_json(found)
    else:
        for name, one in found.items():
            _told(name, one, as_json=False)
    return 0 if _kernel_holds(found["kernel"]) and found["read"]["holds"] and found["truth"]["holds"] else 1


def _kernel_holds(found: dict[str, Any]) -> bool:
    return bool(found.get("equal_results", True))


def _kernel(events: int, hypotheses: int, threads: int, full: bool, seed: int | None, file: str | None = None) -> dict[str, Any]:
    from beton.bench.kernel import run_kernel_bench

    path = None if file is None else Path(file)
    return run_kernel_bench(events, hypotheses, 7 if seed is None else seed, file=path, threads=threads, full=full, tell=say)


def _truth(seed: int | None, world: Sequence[str], own: OwnEvents | None, replicates: int) -> dict[str, Any]:
    from beton.bench.truth import run_truth_bench

    return run_truth_bench(1 if seed is None else seed, given=tuple(world), own=own, replicates=replicates, tell=say)


def _read(events: int, seed: int | None) -> dict[str, Any]:
    from beton.bench.read import run_read_bench

    return run_read_bench(events, 7 if seed is None else seed, tell=say)


def _own(events: str | None, entry: str | None, outcome: str | None, days: int, as_of: str | None, window_days: int) -> OwnEvents | None:
    if events is None:
        if entry or outcome or as_of:
            raise BadInput("--entry, --outcome and --as-of describe a file of events.", fix="Name it: --events FILE")
        return None
    until = instant(as_of)
    if outcome is None or until is None:
        raise BadInput("A file of events needs the outcome and the instant to look from.", fix="Add --outcome EVENT --as-of INSTANT.")
    from beton.bench.projects import OwnEvents

    return OwnEvents(events, outcome, until, entry, days, window_days)


def _told(name: str, found: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    if name == "kernel":
        from beton.bench.kernel import table as kernel_table

        columns, rows = kernel_table(found)
        table(columns, rows, title="Kernel", right=columns[1:])
    elif name == "desk":
        _desk(found)
    elif name == "inbound":
        from beton.bench.inbound import rows as inbound_rows

        table(("", "value"), inbound_rows(found), title="Inbound", right=("value",))
        say(f"Bounds {'kept' if found['holds'] else 'NOT kept'}: {', '.join(f'{name} {bound}' for name, bound in found['bounds'].items())}.")
    elif name in ("truth", "agent"):
        from beton.bench.figures import rows as figures

        table(("figure", "value", "bound", "replicates", "holds"), figures(found), title=name.capitalize(), right=("value", "replicates"))
        if name == "agent":
            _beside(found)
    else:
        names = [one for one in found["packed"] if one != "received"]
        rows = [(one.replace("_", " "), *(number(found[side][one]) for side in ("packed", "paged"))) for one in names]
        table(
            ("", "packed", "raw rows"), rows, title=f"Reading, logs {'equal' if found['equal_logs'] else 'NOT EQUAL'}", right=("packed", "raw rows")
        )


def _desk(found: dict[str, Any]) -> None:
    from beton.bench.desk import rows

    columns = ("", "requests", "p50 ms", "p95 ms", "p99 ms", "largest, bytes")
    table(columns, rows(found), title="Desk", right=columns[1:])
    depth = [(name, *(f"{one[key]:g}" for key in ("first_ms", "deep_ms", "ratio"))) for name, one in found["depth"].items()]
    table(("", "first page, ms", "at depth, ms", "ratio"), depth, title="Depth", right=("first page, ms", "at depth, ms", "ratio"))
    say(f"Bounds {'kept' if found['holds'] else 'NOT kept'}: {', '.join(f'{name} {bound}' for name, bound in found['bounds'].items())}.")


def _beside(found: dict[str, Any]) -> None:
    """Planted causes one by one, and lifts beside those of rivals at equal recall."""
    causes = [
        (one["world"], one["cause"], *(str(one[key]) for key in ("recovered", "recommended", "runs", "not_findable"))) for one in found["causes"]
    ]
    table(("world", "cause", "shown", "recommended", "runs", "not findable"), causes, title="Planted causes", right=("shown", "recommended", "runs"))
    if not found["rivals"]:
        return
    columns = ("rival", "measured on", "recall", "our lift", "its lift", "difference", "from", "to", "clearly behind in")
    table(columns, [_rival(one) for one in found["rivals"]], title="Lift at equal recall", right=columns[2:8])
    for line in found["not_compared"]:
        say(f"Not compared: {line}.")


def _rival(one: dict[str, Any]) -> tuple[str, ...]:
    mean = one["difference"]
    told = (one["recall"], one["lift"], one["rival_lift"], mean["value"], mean["low"], mean["high"])
    missing = "; ".join(one["lacks"]) if mean["value"] is None else ", ".join(one["clearly_behind_in"])
    return (one["rival"], one["measured_on"], *("–" if value is None else f"{value:.2f}" for value in told), missing)
