"""Subgroup discovery by pysubgroup, in an environment of its own: it pins a numpy older than ours. The two talk over files."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from backtest.intervals import Flags
from backtest.stratified import Floats
from beton.bench import subgroup_runner
from beton.bench.counted import Seen
from beton.bench.rivals import Scorer

PACKAGE = "pysubgroup>=0.9,<0.10"
IMAGINED = 20
"""Looks at the base rate that are added to those of a rule, as a search does to fires."""

INSTALLING, RUNNING = 900, 300
"""Seconds after which it is given up."""


@dataclass(frozen=True)
class Environment:
    """`python` runs in it; where there is none, `lacks` says why."""

    python: str | None
    lacks: str = ""


@contextmanager
def environment(wanted: bool) -> Generator[Environment]:
    """An environment with pysubgroup from the package index that pip is set up for, removed afterwards."""
    if not wanted:
        yield Environment(None, "not asked for: --with-pysubgroup installs it in an environment of its own")
        return
    with TemporaryDirectory(prefix="beton-bench-") as folder:
        python = Path(folder) / "bin" / "python"
        lacks = _run([sys.executable, "-m", "venv", folder], INSTALLING) or _run([str(python), "-m", "pip", "install", "-q", PACKAGE], INSTALLING)
        yield Environment(None, lacks) if lacks else Environment(str(python))


def _run(command: list[str], seconds: int) -> str:
    """Empty, or why it failed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{command[0]}: {error}"
    if not done.returncode:
        return ""
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"ended with {done.returncode}"


class Failed(Exception):
    """pysubgroup did not come to an end; the text says why."""


def subgroups(part: Seen, python: str) -> Scorer:
    """Rules of counts, alone and in twos, from the judged looks, half of them by weighted relative accuracy and half by a quality that prefers narrow
    ones. At a look, the largest share of conversions (with imagined looks at the base rate) among the rules that the unit meets. Raises Failed."""
    judged = part.rows(part.looks.judged)
    places = [place for place, one in enumerate(part.columns) if not one.match.where]
    with TemporaryDirectory() as folder:
        table, rules = Path(folder) / "table.npz", Path(folder) / "rules.json"
        np.savez(table, table=part.table[judged][:, places], hit=part.hit[judged])
        if lacks := _run([python, subgroup_runner.__file__, str(table), str(rules)], RUNNING):
            raise Failed(lacks)
        found = [[(places[column], least) for column, least in rule] for rule in json.loads(rules.read_text())]

    base = float(part.hit[judged].mean())
    shares = [_share(_meets(part, rule)[judged], part.hit[judged], base) for rule in found]

    def scored(other: Seen) -> Floats:
        score = np.zeros(len(other.table))
        for rule, share in zip(found, shares, strict=True):
            score = np.maximum(score, np.where(_meets(other, rule), share, 0.0))
        return score

    return scored


def _meets(part: Seen, rule: Sequence[tuple[int, float]]) -> Flags:
    return np.all([part.table[:, column] >= least for column, least in rule], 0)


def _share(meets: Flags, hit: Flags, base: float) -> float:
    return float(((meets & hit).sum() + IMAGINED * base) / (meets.sum() + IMAGINED))
