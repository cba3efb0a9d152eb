"""`beton bench kernel`: the engine's kernel beside databases and data frames, on one made-up history, with equal results as a condition."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beton.bench import competitors, evaluated, sql
from beton.bench.history import events_in, make_history, write_history
from beton.bench.measured import in_own_process
from beton.bench.mix import SHARES

COMPETITORS = tuple(competitors.SAMPLES)
BUCKETS = 32
"""Two at a time, of fifty million events each holds 1.6: as few as memory allows, since every bucket pays for every hypothesis."""
IN_ONE_PIECE = 20_000_000
"""Longer histories are streamed from the file in buckets of units; competitors run on the first bucket."""


def run_kernel_bench(
    events: int = 10_000_000,
    hypotheses: int = 1000,
    seed: int = 7,
    *,
    file: Path | None = None,
    threads: int = 2,
    rounds: int = 5,
    rivals: Sequence[str] = COMPETITORS,
    full: bool = False,
    buckets: int = BUCKETS,
    in_one_piece: int = IN_ONE_PIECE,
    tell: Callable[[str], None] = lambda _line: None,
) -> dict[str, Any]:
    """Measure and compare. Competitors run a stated sample of the hypotheses unless `full`; `times_faster` holds per hypothesis.

    `file` is read, or written where there is none; without it a temporary one. `equal_results`: every count of every hypothesis that a competitor ran
    is the kernel's, and one thread gives what several give. `compared` says on which events.
    """
    with tempfile.TemporaryDirectory(prefix="beton-bench-") as folder:
        path = Path(folder) / "events.parquet" if file is None else file
        if not path.exists():
            tell(f"making up {events:,} events")
            in_own_process(_write, events, seed, path)
        events = in_own_process(_size, path)["events"]
        about = {"events": events, "hypotheses": hypotheses, "seed": seed, "threads": threads, "mix": SHARES}
        if events > in_one_piece:
            tell(f"streaming {events:,} events in {buckets} buckets")
            whole = in_own_process(streamed_measure, path, Path(folder), hypotheses, seed, threads, buckets)
            return about | _streamed(whole, Path(folder), _Asked(hypotheses, seed, threads, full, tuple(whole["frequency"])), rounds, rivals, tell)
        asked = _Asked(hypotheses, seed, threads, full)
        kernel, rows = _both(path, asked, rounds, rivals, tell)
    return about | _compared(kernel, rows, hypotheses) | {"compared": {"events": events, "what": "all events"}}


@dataclass(frozen=True)
class _Asked:
    """What every competitor is given."""

    hypotheses: int
    seed: int
    threads: int
    full: bool
    frequency: tuple[int, ...] | None = None


Rows = dict[str, dict[str, Any]]


def _both(path: Path, asked: _Asked, rounds: int, rivals: Sequence[str], tell: Callable[[str], None]) -> tuple[dict[str, Any], Rows]:
    """The kernel's measurement and the competitors', of the same file."""
    tell("evaluating with the kernel")
    kernel = in_own_process(evaluated.measure, path, asked.hypotheses, asked.seed, asked.threads, rounds, asked.frequency)
    rows = {}
    for rival in rivals:
        tell(f"evaluating with {rival}")
        rows[rival] = in_own_process(competitors.measure, rival, path, asked.hypotheses, asked.seed, asked.threads, asked.full, asked.frequency)
    return kernel, rows


def _streamed(whole: dict[str, Any], folder: Path, asked: _Asked, rounds: int, rivals: Sequence[str], tell: Callable[[str], None]) -> dict[str, Any]:
    """Competitors would need the whole history in memory, so they get one bucket of it. Their counts are compared with those that left it."""
    path = folder / "sample.parquet"
    tell("comparing on one bucket")
    size = in_own_process(_write_sample, folder, tuple(whole["names"]), path)["events"]
    kernel, rows = _both(path, asked, rounds, rivals, tell)
    same = [tuple(one[: len(sql.COUNTS)]) for one in whole["counts_of_sample"]] == kernel["counts"]
    found = _compared(kernel, rows, asked.hypotheses)
    sample = {name: found[name] for name in ("prepare_seconds", "evaluate_seconds", "peak_mb", "competitors")}
    return {name: one for name, one in whole.items() if name not in ("frequency", "names", "counts_of_sample")} | {
        "equal_results": same and found["equal_results"],
        "unequal": found["unequal"] | ({} if same else {"streamed": True}),
        "times_faster": found["times_faster"],
        "compared": {
            "events": size,
            "what": f"one of {whole['buckets']} buckets of whole units: its counts when streamed, in one piece, and by each competitor. "
            "times_faster is evaluation only, on that bucket.",
            **sample,
        },
    }


def streamed_measure(path: Path, folder: Path, hypotheses: int, seed: int, threads: int, buckets: int) -> dict[str, Any]:
    from beton.bench import streamed

    return streamed.measure(path, folder, hypotheses, seed, threads, buckets)


def _write_sample(folder: Path, names: tuple[str, ...], path: Path) -> dict[str, Any]:
    from beton.bench import streamed

    sample = streamed.sample_of(folder, names)
    write_history(sample, path)
    return {"events": len(sample.at)}


def _size(path: Path) -> dict[str, Any]:
    import polars as pl

    return {"events": events_in(path).select(pl.len()).collect().item()}


def _write(events: int, seed: int, path: Path) -> dict[str, Any]:
    write_history(make_history(events, seed), path)
    return {}


def _compared(kernel: dict[str, Any], rows: dict[str, dict[str, Any]], hypotheses: int) -> dict[str, Any]:
    counts = kernel["counts"]
    per_hypothesis = kernel["evaluate_seconds"] / hypotheses
    unequal = {rival: [place for place, want in row["counts"].items() if tuple(want) != tuple(counts[place])] for rival, row in rows.items()}
    return {
        **{
            name: round(kernel[name], 4)
            for name in ("first_seconds", "prepare_seconds", "evaluate_seconds", "best_evaluate_seconds", "evaluate_cpu_seconds")
        },
        "peak_mb": kernel["peak_mb"],
        "fires": kernel["fires"],
        "equal_results": kernel["same_on_one_thread"] and not any(unequal.values()),
        "unequal": {rival: places for rival, places in unequal.items() if places},
        "times_faster": {rival: round(row["seconds"] / row["ran"] / per_hypothesis, 1) for rival, row in rows.items()},
        "competitors": {
            rival: {
                "seconds_for_all": round(row["seconds"] / row["ran"] * hypotheses, 2),
                "hypotheses_run": row["ran"],
                "seconds_run": round(row["seconds"], 3),
                "peak_mb": row["peak_mb"],
            }
            for rival, row in rows.items()
        },
    }


def table(found: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Columns and rows for people; the kernel first."""
    columns, rows = ["", "seconds", "times slower", "hypotheses run", "peak MB"], []
    beside = found["compared"] if "competitors" in found["compared"] else found  # a streamed history is compared on a part of it
    if beside is not found:
        rows.append([f"kernel, all {found['events']:,} events", f"{found['seconds']:.2f}", "", str(found["hypotheses"]), str(found["peak_mb"])])
    rows.append(["kernel", f"{beside['evaluate_seconds']:.3f}", "1", str(found["hypotheses"]), str(beside["peak_mb"])])
    for rival, row in beside["competitors"].items():
        ran, all_ = row["hypotheses_run"], found["hypotheses"]
        shown = str(ran) if ran == all_ else f"{ran}, extrapolated to {all_}"
        rows.append([rival, f"{row['seconds_for_all']:.2f}", f"{found['times_faster'][rival]:.1f}", shown, str(row["peak_mb"])])
    return columns, rows
