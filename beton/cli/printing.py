"""What commands print: JSON lines for programs, tables for people, errors with what to do about them.

Names in a project are data from strangers: nothing of them is read as markup or reaches the terminal as a control sequence.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from beton.errors import BadInput, BetonError

if TYPE_CHECKING:
    from rich.console import Console

PIPED_WIDTH = 200
"""Columns where no terminal says how many there are."""


def print_json(content: Any) -> None:
    """One JSON value on a line of its own."""
    import orjson

    sys.stdout.write(orjson.dumps(content).decode() + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """A line for people who watch, out of the way of the results."""
    print(plain(text), file=sys.stderr, flush=True)


def write(text: str) -> None:
    """A line of the result."""
    print(plain(text), flush=True)


def plain(text: str) -> str:
    """Control characters made visible, save line breaks and tabs."""
    return "".join(char if char.isprintable() or char in "\n\t" else f"\\x{ord(char):02x}" for char in text)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "", right: Sequence[str] = ()) -> None:
    """A table on standard output; `right` names the columns of numbers."""
    from rich.table import Table
    from rich.text import Text

    drawn = Table(title=Text(plain(title)) if title else None, title_justify="left", show_edge=False, header_style="bold", pad_edge=False)
    for column in columns:
        drawn.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(plain(str(cell))) for cell in row))
    console().print(drawn)


def console(*, errors: bool = False) -> Console:
    """A console on the stream of now, so that redirections are obeyed."""
    from rich.console import Console

    stream = sys.stderr if errors else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else PIPED_WIDTH, highlight=False)


def tell_error(error: BetonError, *, as_json: bool) -> int:
    """Say what happened and what to do; the exit code. With `as_json` the problem object goes to standard output."""
    if as_json:
        print_json(error.as_problem())
        return error.exit_code
    say(f"Error: {error.message}")
    file = error.details.get("file")
    for fault in error.faults if isinstance(error, BadInput) else ():
        say(f"  {fault}" if file is None or fault.line is None else f"  {file}:{fault.line} {replace(fault, line=None)}")
    say(f"{error.fix} ({error.code})")
    return error.exit_code


# --- numbers ---------------------------------------------------------------------------------------------------------


def share(value: float | None) -> str:
    """A ratio as a percentage; what cannot be told is a dash."""
    return "–" if value is None else f"{value:.1%}"


def number(value: float | None, digits: int = 2) -> str:
    """A number; what cannot be told is a dash."""
    return "–" if value is None else f"{value:.{digits}f}"


def span(low: float | None, high: float | None, digits: int = 2) -> str:
    """An interval; a side that cannot be told is open."""
    return "" if low is None and high is None else f" [{number(low, digits)}, {'∞' if high is None else number(high, digits)}]"


def share_span(low: float | None, high: float | None) -> str:
    """An interval of a ratio."""
    return "" if low is None and high is None else f" [{share(low)}, {share(high)}]"


def chance(value: float | None) -> str:
    """A p-value."""
    return "–" if value is None else "<0.001" if value < 0.001 else f"{value:.3f}"
