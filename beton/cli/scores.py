"""Scored hypotheses as commands print them: one JSON object each, or a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from beton.cli.printing import chance, number, print_json, say, share, share_span, span, table

if TYPE_CHECKING:
    from backtest.language import Hypothesis
    from backtest.verdict import Bar
    from beton.settings import Settings

WORDS = {"clears": "clears the bar", "does_not_clear": "does not clear", "cannot_tell": "cannot tell"}
COLUMNS = ("name", "hypothesis", "n", "precision", "recall", "lift", "closed lift", "p", "verdict")


def bar_of(settings: Settings) -> Bar:
    """The bar that the settings state."""
    from backtest.verdict import Bar

    return Bar(**settings.bar.model_dump())


def file_id(hypothesis: Hypothesis) -> str:
    """What a hypothesis is called before anybody has kept it: by its meaning, so the same everywhere."""
    return f"hyp_{hypothesis.fingerprint[:16]}"


def record(hypothesis: Hypothesis, told: dict[str, Any], bar: Bar, *, selected: bool = False, **more: Any) -> dict[str, Any]:
    """The published fields of a hypothesis that is not kept anywhere, and more beside them. `told` are its published numbers."""
    from backtest.sentence import sentence
    from backtest.verdict import judge

    return {
        "hypothesis_id": file_id(hypothesis),
        "hypothesis": sentence(hypothesis),
        "backtest": told,
        "status": "draft",
        "name": hypothesis.name,
        "fingerprint": hypothesis.fingerprint,
        "verdict": judge(told, bar, selected=selected).to_json(),
        **more,
    }


def print_records(records: Sequence[dict[str, Any]], *, as_json: bool, title: str = "") -> None:
    """JSON lines in the order given, or a table and the reasons behind its verdicts."""
    if as_json:
        for one in records:
            print_json(one)
        return
    table(COLUMNS, [row_of(one) for one in records], title=title, right=("n", "recall", "p"))
    for one in records:
        for reason in (one["verdict"] or {"reasons": ()})["reasons"]:
            say(f"{one['name'] or one['hypothesis_id']}: {reason['sentence']}")


def row_of(one: dict[str, Any]) -> tuple[str, ...]:
    """A record's cells, one for each of `COLUMNS`."""
    told = one["backtest"]
    if told is None:
        return (one["name"] or "", one["hypothesis"], *[""] * 6, "not tested")
    closed = told["closed"]
    return (
        one["name"] or "",
        one["hypothesis"],
        f"{told['sample_size']:,}",
        share(told["precision"]) + share_span(told["precision_low"], told["precision_high"]),
        share(told["recall"]),
        number(told["lift_vs_baseline"]),
        number(closed["lift"]) + span(closed["lift_low"], closed["lift_high"]),
        chance(closed["p_stratified"]),
        WORDS[one["verdict"]["verdict"]],
    )
