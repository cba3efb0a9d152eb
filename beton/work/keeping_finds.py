"""Finds next to what is live, and written down: a look at confirming data is logged, and counts only for a definition that was frozen before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from agent.memory import ENDED, Remembered, Sameness, asks_alike, readable
from agent.search import Found, Proposal
from backtest import EventLog, Hypothesis, Window
from backtest.fires import fires_of, held
from backtest.intervals import Codes
from backtest.redundancy import MERGE_AT_CONTAINMENT, MERGE_AT_JACCARD
from backtest.tally import recall_converters
from backtest.verdict import judge
from beton.lifecycle import Action
from beton.store import backtests, hypotheses, search_records
from beton.store.records import Connection, NewBacktest
from beton.store.records import Hypothesis as Kept
from beton.store.search_records import Confirmation
from beton.store.store import Transaction
from beton.work.workplace import Workplace, instant
from beton.work.writing import keep_hypothesis

SEARCH = "search"
"""Who reopens what comes back, in the audit log."""


@dataclass(frozen=True)
class Beside:
    """A find next to the live hypotheses of the same question. `redundant_with`: the live one that it repeats or contains; `jaccard` of their units.
    `new_recall`: share of the conversions that it precedes and no live one does; None where nothing can be compared."""

    redundant_with: str | None = None
    jaccard: float | None = None
    repeats: bool = False
    new_recall: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The published fields."""
        found = None if self.redundant_with is None else {"hypothesis_id": self.redundant_with, "jaccard": self.jaccard}
        return {"redundant_with": found, "new_recall_given_live": self.new_recall}


def beside_live(find: Hypothesis, live: Sequence[Remembered], log: EventLog) -> Beside:
    """Compare a find with what is live. A narrower one that lies within a live one repeats it; a wider one that contains it does not."""
    same, alike = Sameness(log), [one for one in live if asks_alike(find, one.hypothesis) and readable(one.hypothesis, log)]
    if not readable(find, log):
        return Beside()
    near: list[tuple[float, bool, Remembered]] = []
    for one in alike:
        overlap = same.overlap(find, one.hypothesis)
        if overlap is not None and overlap.suggests_merge:
            jaccard = overlap.jaccard or 0.0
            near.append((jaccard, jaccard >= MERGE_AT_JACCARD or (overlap.first_contained or 0) >= MERGE_AT_CONTAINMENT, one))
    recall = _new_recall(find, [one.hypothesis for one in alike], log)
    if not near:
        return Beside(new_recall=recall)
    jaccard, _, nearest = max(near, key=lambda one: one[0])
    return Beside(nearest.id or nearest.fingerprint, jaccard, any(repeats for _, repeats, _ in near), recall)


def _new_recall(find: Hypothesis, live: Sequence[Hypothesis], log: EventLog) -> float | None:
    """Of the conversions that count for recall, those that the find precedes in time and no live one does."""
    converters = int(recall_converters(find, log).sum())
    if not converters:
        return None
    known = [_hits(one, log) for one in live]
    flagged = np.unique(np.concatenate(known)) if known else np.empty(0, np.int32)
    return len(np.setdiff1d(_hits(find, log), flagged)) / converters


def _hits(hypothesis: Hypothesis, log: EventLog) -> Codes:
    """Units whose first fire precedes their outcome in time."""
    firsts = fires_of(held(hypothesis, log), hypothesis, log).firsts()
    reached = log.outcome(hypothesis)[firsts.unit]
    in_time = (reached > firsts.at) & (reached <= firsts.at + int(hypothesis.horizon))
    return firsts.unit[in_time & recall_converters(hypothesis, log)[firsts.unit]]


def keep_finds(
    tx: Transaction, place: Workplace, connection: Connection, found: Found, window: Window, run_id: str, confirmed_from: datetime | None
) -> list[Kept]:
    """Write the finds down with their numbers, in their order, and log which of them were confirmed on what."""
    kept, results, looks = [], [], []
    for proposal in found.proposals:
        row = _kept(tx, connection, proposal)
        told, look = _told(tx, row, proposal, window, run_id, confirmed_from)
        kept.append(row)
        looks += [] if look is None else [look]
        results.append(
            NewBacktest(
                hypothesis_id=row.id,
                hypothesis_version=row.version,
                run_id=run_id,
                as_of=instant(window.end),
                window_days=told["window_days"],
                fingerprint=row.fingerprint,
                result=told,
                clears=judge(told, place.bar, selected=True).clears,
            )
        )
    backtests.record(tx, results)
    search_records.log_confirmations(tx, looks)
    return [hypotheses.get(tx, row.id) for row in kept]


def _kept(tx: Transaction, connection: Connection, proposal: Proposal) -> Kept:
    """One that was rejected or retired is back in review: it was found again only because its evidence has changed."""
    source = "agent" if proposal.source == "model" else "search"
    row, _ = keep_hypothesis(tx, connection, proposal.hypothesis, SEARCH, source=source, selected=True)
    if row.status.value in ENDED:
        return hypotheses.decide(tx, row.id, Action.REOPEN, expected_row_version=row.row_version, actor=SEARCH, reason="its evidence has changed")
    return row


def _told(
    tx: Transaction, row: Kept, proposal: Proposal, window: Window, run_id: str, confirmed_from: datetime | None
) -> tuple[dict[str, Any], Confirmation | None]:
    """The numbers to be told, and the look at the confirming part. A definition that was edited after numbers were shown is confirmed only by what
    happened after the edit (rule 27 of the reference): older data had been seen by whoever edited it."""
    told = proposal.backtest
    if confirmed_from is None or "confirmed" not in told:
        return told, None
    look = Confirmation(
        run_id=run_id,
        fingerprint=row.fingerprint,
        connection_id=row.connection_id,
        hypothesis_id=row.id,
        hypothesis_version=row.version,
        confirmed_from=confirmed_from,
        confirmed_until=instant(window.end),
    )
    edited = hypotheses.version(tx, row.id, row.version).created_at if row.version > 1 else None
    if edited is None or confirmed_from >= edited:
        return told, look
    why = {"code": "edited_after_numbers_were_shown", "edited_at": edited.isoformat().replace("+00:00", "Z")}
    return {key: value for key, value in told.items() if key != "confirmed"}, look.model_copy(update={"counted": False, "withheld": why})
