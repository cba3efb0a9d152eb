"""Who is asked when: the parts of closed tables and of recall that all hypotheses of one entry, outcome, horizon and look-back share."""

from __future__ import annotations

from numba import njit

from backtest.intervals import Codes, Ints
from backtest.kernel.ends import FOREVER

WORD = 62
"""Grid instants per 64-bit word; a longer grid takes several words."""


@njit(cache=True, nogil=True)
def mark_active(unit: Codes, first: Ints, last: Ints, within: int, s0: int, step: int, instants: int, active: Ints) -> None:
    """Sets bit j of `active[unit]` where the unit has an event in `(s0 + j step - within, s0 + j step]`, from blocks of presence."""
    for block in range(len(unit)):
        low = first[block] - s0
        high = last[block] + within - s0
        if high <= 0:
            continue
        bits, instant = 0, 0
        for place in range(instants):
            bits |= (1 << place) * (low <= instant < high)
            instant += step
        active[unit[block]] |= bits


@njit(cache=True, nogil=True)
def mark_asked(active: Ints, entry: Ints, outcome: Ints, entered_from: int, s0: int, horizon: int, instants: int, asked: Ints) -> tuple[int, int]:
    """Keeps of `active` the instants at which a unit has entered and is not yet converted. Returns how many rows that makes, and how many of them
    convert within the horizon."""
    rows, hits = 0, 0
    for who in range(len(active)):
        bits = 0
        since, reached = entry[who], outcome[who]
        if active[who] and entered_from <= since < FOREVER:
            instant = s0
            for place in range(instants):
                if (active[who] >> place) & 1 and since <= instant < reached:
                    bits |= 1 << place
                    rows += 1
                    hits += reached <= instant + horizon
                instant += horizon
        asked[who] = bits
    return rows, hits


@njit(cache=True, nogil=True)
def landmark_margins(entry: Ints, outcome: Ints, s0: int, end: int, ask_after: int, horizon: int) -> tuple[int, int]:
    """Design L without the hypothesis: how many units are asked at entry + `ask_after`, and how many of them convert within the horizon."""
    rows, hits = 0, 0
    for who in range(len(entry)):
        instant = entry[who] + ask_after
        if s0 <= entry[who] < end and instant + horizon <= end and outcome[who] > instant:
            rows += 1
            hits += outcome[who] <= instant + horizon
    return rows, hits


@njit(cache=True, nogil=True)
def recall_converters(entry: Ints, outcome: Ints, s0: int, end: int, entered_from: int) -> int:
    """Units with `s0 <= outcome < end`, after their entry, and entered at or after `entered_from`."""
    found = 0
    for who in range(len(entry)):
        found += s0 <= outcome[who] < end and outcome[who] > entry[who] and entry[who] >= entered_from
    return found
