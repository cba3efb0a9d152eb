"""`beton bench kernel`: the engine's kernel beside databases and data frames, on one made-up history, with equal results as a condition."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from beton.bench import competitors, evaluated
from beton.bench.history import make_history, write_history
from beton.bench.measured import in_own_process
from beton.bench.mix import SHARES

COMPETITORS = tuple(competitors.SAMPLES)
IN_ONE_PIECE = 20_000_000
"""Longer histories are streamed from the file in buckets of units, and have no competitors."""


def run_kernel_bench(
    events: int = 10_000_000,
    hypotheses: int = 1000,
    seed: int = 7,
    *,
    threads: int = 2,
    rounds: int = 5,
    rivals: Sequence[str] = COMPETITORS,
    full: bool = False,
    buckets: int = 32,
    tell: Callable[[str], None] = lambda _line: None,
) -> dict[str, Any]:
    """Measure and compare. Competitors run a stated sample of the hypotheses unless `full`; `times_faster` holds per hypothesis.

    `equal_results`: every count of every hypothesis that a competitor ran is the kernel's, and one thread gives what several give.
    """
    with tempfile.TemporaryDirectory(prefix="beton-bench-") as folder:
        path = Path(folder) / "events.parquet"
        tell(f"making up {events:,} events")
        in_own_process(_write, events, seed, path)
        if events > IN_ONE_PIECE:
            from beton.bench import streamed

            tell(f"streaming them in {buckets} buckets")
            found = in_own_process(streamed.measure, path, hypotheses, seed, threads, buckets)
            return _about(events, hypotheses, seed, threads) | found
        tell("evaluating with the kernel")
        kernel = in_own_process(evaluated.measure, path, hypotheses, seed, threads, rounds)
        rows = {}
        for rival in rivals:
            tell(f"evaluating with {rival}")
            rows[rival] = in_own_process(competitors.measure, rival, path, hypotheses, seed, threads, full)
    return _about(events, hypotheses, seed, threads) | _compared(kernel, rows, hypotheses)


def _write(events: int, seed: int, path: Path) -> dict[str, Any]:
    write_history(make_history(events, seed), path)
    return {}


def _about(events: int, hypotheses: int, seed: int, threads: int) -> dict[str, Any]:
    return {"events": events, "hypotheses": hypotheses, "seed": seed, "threads": threads, "mix": SHARES}


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
    columns = ["", "seconds", "times slower", "hypotheses run", "peak MB"]
    rows = [["kernel", f"{found['evaluate_seconds']:.3f}", "1", str(found["hypotheses"]), str(found["peak_mb"])]]
    for rival, row in found.get("competitors", {}).items():
        ran, all_ = row["hypotheses_run"], found["hypotheses"]
        shown = str(ran) if ran == all_ else f"{ran}, extrapolated to {all_}"
        rows.append([rival, f"{row['seconds_for_all']:.2f}", f"{found['times_faster'][rival]:.1f}", shown, str(row["peak_mb"])])
    return columns, rows
