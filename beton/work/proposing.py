"""Hypotheses that nobody has written yet: searched for in one read of the project, kept as proposals with the numbers they were found by."""

from __future__ import annotations

from dataclasses import dataclass

from agent.search import Found, Question, conditions, search
from backtest import Window, plan_reads
from backtest.durations import DAY
from backtest.verdict import judge
from beton.errors import BadInput
from beton.store import backtests, runs
from beton.store.records import Connection, Hypothesis, NewBacktest, RunStatus
from beton.work.backtesting import Progress, read_log
from beton.work.workplace import Workplace, instant
from beton.work.writing import keep_hypothesis


@dataclass(frozen=True)
class Proposed:
    """What was found and kept; those known from earlier keep their status and get the new numbers."""

    kept: tuple[Hypothesis, ...]
    found: Found
    events: int


async def propose(
    place: Workplace,
    connection: Connection,
    question: Question,
    window: Window,
    *,
    most: int = 10,
    progress: Progress = lambda *_: None,
    run_id: str | None = None,
) -> Proposed:
    """Search the connection's window for behaviour that precedes the outcome; `run_id` names a run that has begun already."""
    taxonomy = place.taxonomy(connection)
    singles = conditions(question, taxonomy, window)
    if not singles:
        raise BadInput("No event of this project is used widely enough to search.", fix="Check the taxonomy: beton taxonomy NAME")
    async with place.client(connection) as client:
        (plan,) = plan_reads(singles, window)
        log = await read_log(client, plan, taxonomy, progress)
    found = search(question, singles, log, most=most, bar=place.bar, progress=lambda done, total, what: progress(f"Trying {what}", done, total))
    return Proposed(tuple(keep(place, connection, found, window, run_id)), found, len(log.at))


def keep(place: Workplace, connection: Connection, found: Found, window: Window, run_id: str | None = None) -> list[Hypothesis]:
    """Write the finds down with their numbers, in one transaction."""
    with place.store.transaction() as tx:
        if run_id is None:
            run_id = runs.queue(tx, "propose", connection_id=connection.id, request={"window_days": (window.end - window.start) / DAY}).id
            runs.begin(tx, run_id)
        kept = [keep_hypothesis(tx, connection, one.hypothesis, "search", source="search", selected=True)[0] for one in found.proposals]
        verdicts = [judge(one.backtest, place.bar, selected=True) for one in found.proposals]
        results = [
            NewBacktest(
                hypothesis_id=row.id,
                hypothesis_version=row.version,
                run_id=run_id,
                as_of=instant(window.end),
                window_days=proposal.backtest["window_days"],
                fingerprint=row.fingerprint,
                result=proposal.backtest,
                clears=verdict.clears,
            )
            for row, proposal, verdict in zip(kept, found.proposals, verdicts, strict=True)
        ]
        backtests.record(tx, results)
        runs.finish(tx, run_id, RunStatus.DONE, counts={"tried": found.tried, "proposed": len(kept)} | place.reading.to_json())
    return kept
