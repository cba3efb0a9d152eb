"""Numbers while a file is still being read: a table that narrows on a terminal, lines elsewhere. Always on standard error, so that standard output
holds one final object per hypothesis and nothing else."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from beton.cli.printing import console, number, plain, say, share, share_span, span
from beton.cli.scores import WORDS, file_id

if TYPE_CHECKING:
    from rich.table import Table

    from beton.partial_results import Partial, Standing

COLUMNS = ("name", "n", "precision", "recall", "lift", "closed lift", "verdict")


@contextmanager
def telling(*, as_json: bool) -> Generator[Callable[[Partial], None]]:
    """Somebody to tell each partial result to, for the body of a `with`."""
    if as_json:
        yield lambda partial: print(json.dumps(told(partial)), file=sys.stderr, flush=True)
        return
    if not sys.stderr.isatty():
        yield _lines
        return
    from rich.live import Live

    with Live(console=console(errors=True), transient=True, auto_refresh=False) as live:
        yield lambda partial: live.update(_table(partial), refresh=True)


def told(partial: Partial) -> dict[str, Any]:
    """A partial result with the ids that the final lines have."""
    content = partial.as_json()
    for row, one in zip(content["hypotheses"], partial.standings, strict=True):
        row["hypothesis_id"] = file_id(one.hypothesis)
    return content


def _cells(one: Standing) -> tuple[str, ...]:
    name = one.hypothesis.name or file_id(one.hypothesis)
    known = one.as_json()
    if one.score is None:
        return (name, *[""] * 5, "not read yet")

    def ends(of: str) -> tuple[float | None, float | None]:
        return known[f"{of}_low"], known[f"{of}_high"]

    return (
        name,
        f"{known['sample_size']:,}",
        share(known["precision"]) + share_span(*ends("precision")),
        share(known["recall"]) + share_span(*ends("recall")),
        number(known["lift_vs_baseline"]) + span(*ends("lift_vs_baseline")),
        number(known["closed_lift"]) + span(*ends("closed_lift")),
        f"{WORDS[known['sure']]}, for sure" if known["sure"] else "open",
    )


def _lines(partial: Partial) -> None:
    say(f"Part {partial.buckets_done} of {partial.buckets}:")
    for one in partial.standings:
        name, n, precision, recall, lift, closed, verdict = _cells(one)
        say(f"  {name}: n {n}, precision {precision}, recall {recall}, lift {lift}, closed lift {closed}; {verdict}" if n else f"  {name}: {verdict}")


def _table(partial: Partial) -> Table:
    from rich.table import Table
    from rich.text import Text

    title = f"Part {partial.buckets_done} of {partial.buckets}"
    drawn = Table(title=title, title_justify="left", show_edge=False, header_style="bold", pad_edge=False)
    for column in COLUMNS:
        drawn.add_column(column, justify="right" if column == "n" else "left")
    for one in partial.standings:
        drawn.add_row(*(Text(plain(cell)) for cell in _cells(one)))
    return drawn
