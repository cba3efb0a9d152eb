"""One measurement in a process of its own, so that memory is its alone and nothing is warm that it did not warm itself."""

from __future__ import annotations

import multiprocessing
import os
import resource
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from beton.errors import BetonError

LEAN = {"MALLOC_MMAP_THRESHOLD_": "33554432", "MALLOC_ARENA_MAX": "2"}
"""For the C library: give large arrays back when they are freed, so that the peak is what was needed at once, not what was ever needed. Arrays below
32 MB are taken again: asking the system anew for each costs a tenth of the time."""


class MeasurementFailed(BetonError):
    """The process that measured ended without a result."""

    code = "bench.failed"


def in_own_process(function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """What the function gives, and `peak_mb`, the largest resident memory of the process. The function must be importable by name."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(there, function, arguments))
    before = {name: os.environ.get(name) for name in LEAN}
    os.environ.update(LEAN)
    process.start()
    for name, value in before.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})
    there.close()
    try:
        found: dict[str, Any] = here.recv()
    except EOFError:
        raise MeasurementFailed(f"{function} ended without a result") from None
    finally:
        process.join()
    return found


def _measure(answer: Connection, function: Callable[..., dict[str, Any]], arguments: tuple[Any, ...]) -> None:
    found = function(*arguments)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer.send(found | {"peak_mb": round(peak / (1e6 if sys.platform == "darwin" else 1e3))})
