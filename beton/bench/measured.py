"""One measurement in a process of its own, so that memory is its alone and nothing is warm that it did not warm itself."""

from __future__ import annotations

import multiprocessing
import resource
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from beton.errors import BetonError


class MeasurementFailed(BetonError):
    """The process that measured ended without a result."""


def in_own_process(function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """What the function gives, and `peak_mb`, the largest resident memory of the process. The function must be importable by name."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(there, function, arguments))
    process.start()
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
