"""How far long work is: a bar on a terminal, a plain line every few seconds elsewhere. Always on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from beton.cli.printing import console, say

EVERY_SECONDS = 5.0

Progress = Callable[[str, int, int], None]
"""What is being done, how much of it is done, of how much."""


@contextmanager
def showing(stopwatch: Callable[[], float] = time.monotonic) -> Generator[Progress]:
    """Somebody to tell the progress to, for the body of a `with`."""
    if not sys.stderr.isatty():
        yield lines(stopwatch)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    drawn = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bars(*drawn, console=console(errors=True), transient=True) as bars:
        known = {}

        def tell(what: str, done: int, total: int) -> None:
            if what not in known:
                known[what] = bars.add_task(what, total=total)
            bars.update(known[what], completed=done, total=total)

        yield tell


def lines(stopwatch: Callable[[], float]) -> Progress:
    """Nothing for short work; then a line every few seconds."""
    last = stopwatch()

    def tell(what: str, done: int, total: int) -> None:
        nonlocal last
        now = stopwatch()
        if now - last >= EVERY_SECONDS:
            last = now
            say(f"{what}: {done:,} of {total:,}")

    return tell
