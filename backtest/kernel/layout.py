"""From event rows in any order to a log, several times faster than sorting by three columns.

Rows are dealt out by ranges of units (one counting pass), and each range is put in order on its own, in the processor's cache and on several threads:
by dealing once more, by unit, where rows came in order of time, else by sorting one number made of unit and instant. That is the order of any event;
dealing the rows out a last time, by name, gives the slices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numba import njit

from backtest.assembly import LONGEST_GAP
from backtest.events import Column, EventLog, Path, Presence, Window
from backtest.intervals import Codes, Ints, order
from backtest.kernel.ends import FOREVER
from backtest.kernel.prepared import Prepared, prepare
from backtest.kernel.slices import Slice, take
from backtest.matching import EventMatch
from backtest.values import PropertyTypes

BITS = 63


RANGES = 256


@dataclass(frozen=True)
class Layout:
    """Rows in order of (name, unit, instant): `starts[code]` is the first of a name, `rows` are their places in the input.

    `everything` has the same rows in order of (unit, instant); its `rows` are places in the arrays here."""

    starts: Ints
    rows: Codes
    unit: Codes
    at: Ints
    everything: Slice


def lay_out(unit: Codes, name: Codes, at: Ints, *, units: int, names: int, pool: Executor) -> Layout:
    """`name[i]` < `names`, `unit[i]` < `units`; fewer than 2^31 rows. Rows that tie in all three come in any order, which no number depends on."""
    rows, codes, sorted_unit, sorted_at = _by_unit_and_instant(unit, name, at, units, pool)
    starts = np.concatenate(([0], np.cumsum(np.bincount(name, minlength=names))))
    places, dealt_rows = np.empty(len(at), np.int64), np.empty(len(at), np.int32)
    dealt_unit, dealt_at = np.empty(len(at), np.int32), np.empty(len(at), np.int64)
    _deal_by_name(codes, rows, sorted_unit, sorted_at, starts.copy(), places, dealt_rows, dealt_unit, dealt_at)
    return Layout(starts, dealt_rows, dealt_unit, dealt_at, Slice(sorted_unit, sorted_at, 0, lambda: places))


def _by_unit_and_instant(unit: Codes, name: Codes, at: Ints, units: int, pool: Executor) -> tuple[Codes, Codes, Codes, Ints]:
    """Places in the input, and name, unit and instant, in order of the latter two."""
    low = int(at.min()) if len(at) else 0
    bits = (int(at.max()) - low).bit_length() if len(at) else 0
    shift = max(0, units.bit_length() - RANGES.bit_length() + 1)
    starts = np.concatenate(([0], np.cumsum(np.bincount(unit >> shift, minlength=1))))
    if _ascends(at):
        return _dealt_twice(unit, name, at, shift, starts, pool)
    if units.bit_length() + bits > BITS:
        by = order(unit, at)
        return by.astype(np.int32), name[by], unit[by], at[by]
    keys, (rows, codes, sorted_unit) = np.empty(len(at), np.int64), (np.empty(len(at), np.int32) for _ in range(3))
    _deal_by_range(unit, name, at, low, bits, shift, starts.copy(), keys, rows, codes)

    def finish(number: int) -> None:
        here = slice(starts[number], starts[number + 1])
        by = np.argsort(keys[here])
        keys[here], rows[here], codes[here] = keys[here][by], rows[here][by], codes[here][by]
        _unpack(keys[here], low, bits, sorted_unit[here])

    list(pool.map(finish, range(len(starts) - 1)))
    return rows, codes, sorted_unit, keys


def _dealt_twice(unit: Codes, name: Codes, at: Ints, shift: int, starts: Ints, pool: Executor) -> tuple[Codes, Codes, Codes, Ints]:
    """The same for rows in order of time. Dealing keeps the order of what falls to one place, so nothing has to be sorted."""

    rows, names, units, instants = _room(len(at))
    out_rows, out_names, out_units, out_instants = settled = _room(len(at))
    _deal(np.arange(len(at), dtype=np.int32), name, unit, at, 0, shift, starts.copy(), rows, names, units, instants)

    def finish(number: int) -> None:
        here, first = slice(starts[number], starts[number + 1]), number << shift
        places = np.concatenate(([0], np.cumsum(np.bincount(units[here] - first, minlength=1))))
        dealt = rows[here], names[here], units[here], instants[here]
        _deal(*dealt, first, 0, places, out_rows[here], out_names[here], out_units[here], out_instants[here])

    list(pool.map(finish, range(len(starts) - 1)))
    return settled


def _room(rows: int) -> tuple[Codes, Codes, Codes, Ints]:
    return np.empty(rows, np.int32), np.empty(rows, np.int32), np.empty(rows, np.int32), np.empty(rows, np.int64)


@njit(cache=True, nogil=True)
def _ascends(at: Ints) -> bool:
    backwards = 0
    for row in range(1, len(at)):
        backwards += at[row] < at[row - 1]
    return backwards == 0


@njit(cache=True, nogil=True)
def _deal(
    rows: Codes,
    name: Codes,
    unit: Codes,
    at: Ints,
    first: int,
    shift: int,
    places: Ints,
    out_rows: Codes,
    out_name: Codes,
    out_unit: Codes,
    out_at: Ints,
) -> None:
    """Each row to the next place of its range of 2^shift units, counted from unit `first` on."""
    for row in range(len(at)):
        kind = np.uint64(np.int64(unit[row]) - first) >> np.uint64(shift)
        place = np.uint64(places[kind])
        places[kind] += 1
        out_rows[place], out_name[place], out_unit[place], out_at[place] = rows[row], name[row], unit[row], at[row]


@njit(cache=True, nogil=True)
def _deal_by_range(unit: Codes, name: Codes, at: Ints, low: int, bits: int, shift: int, places: Ints, keys: Ints, rows: Codes, codes: Codes) -> None:
    for row in range(len(unit)):
        place = places[unit[row] >> shift]
        places[unit[row] >> shift] += 1
        keys[place] = (np.int64(unit[row]) << bits) | (at[row] - low)
        rows[place], codes[place] = row, name[row]


@njit(cache=True, nogil=True)
def _unpack(keys: Ints, low: int, bits: int, unit: Codes) -> None:
    """The keys become instants in place."""
    mask = (1 << bits) - 1
    for row in range(len(keys)):
        unit[row] = keys[row] >> bits
        keys[row] = (keys[row] & mask) + low


@njit(cache=True, nogil=True)
def _deal_by_name(
    codes: Codes, rows: Codes, unit: Codes, at: Ints, next_place: Ints, places: Ints, out_rows: Codes, out_unit: Codes, out_at: Ints
) -> None:
    for index in range(len(rows)):
        code = np.uint32(codes[index])
        place = np.uint64(next_place[code])
        next_place[code] += 1
        places[index] = place
        out_rows[place], out_unit[place], out_at[place] = rows[index], unit[index], at[index]


def sorted_log(
    *,
    window: Window,
    units: Sequence[str],
    names: Sequence[str],
    unit: Codes,
    name: Codes,
    at: Ints,
    persons: Codes | None = None,
    columns: Mapping[Path, Column] | None = None,
    types: PropertyTypes | None = None,
    firsts: Mapping[str, EventMatch | None],
    threads: int = 2,
) -> Prepared:
    """A log whose rows are all that is visible, so that presence and first-ever instants (by key, of `None`: any event) are in them."""
    with ThreadPoolExecutor(threads) as pool:
        laid = lay_out(unit, name, at, units=len(units), names=len(names), pool=pool)
        wanted = {path: column.codes for path, column in (columns or {}).items()} | ({} if persons is None else {None: persons})
        carried = dict(zip(wanted, pool.map(lambda codes: take(codes, laid.rows), wanted.values()), strict=True))
    slices = {
        names[code]: (int(laid.starts[code]), int(laid.starts[code + 1])) for code in range(len(names)) if laid.starts[code] < laid.starts[code + 1]
    }
    log = EventLog(
        window=window,
        units=units,
        names=names,
        slices=slices,
        unit=laid.unit,
        at=laid.at,
        presence=presence_of(laid.everything),
        firsts={},
        persons=carried.get(None),
        columns={path: Column(carried[path], column.values) for path, column in (columns or {}).items()},
        types=types or {},
    )
    ready = prepare(log)
    ready.remembered(("everything",), lambda: laid.everything)
    return replace(ready, firsts={key: first_instants(ready, match) for key, match in firsts.items()})


def first_instants(log: Prepared, match: EventMatch | None) -> Ints:
    """The earliest match of each unit among the log's rows; `FOREVER` without one."""
    first = np.full(len(log.units), FOREVER)
    found = log.everything() if match is None else log.slice(match)
    _earliest(found.unit, found.at, first)
    return first


@njit(cache=True, nogil=True)
def _earliest(unit: Codes, at: Ints, first: Ints) -> None:
    before_it = -1
    for row in range(len(unit)):
        if unit[row] != before_it:
            before_it = unit[row]
            first[before_it] = at[row]


def presence_of(everything: Slice) -> Presence:
    """As `presence_blocks`, of all rows in order of unit and instant."""
    starts = _block_starts(everything.unit, everything.at, LONGEST_GAP)
    last = np.append(starts[1:] - 1, len(everything) - 1)[: len(starts)]
    return Presence(everything.unit[starts], everything.at[starts], everything.at[last])


@njit(cache=True, nogil=True)
def _block_starts(unit: Codes, at: Ints, longest_gap: int) -> Ints:
    count = min(1, len(unit))
    for row in range(1, len(unit)):
        count += (unit[row] != unit[row - 1]) | (at[row] - at[row - 1] > longest_gap)
    starts, block = np.zeros(count + 1, np.int64), min(1, len(unit))
    for row in range(1, len(unit)):
        starts[block] = row
        block += (unit[row] != unit[row - 1]) | (at[row] - at[row - 1] > longest_gap)
    return starts[:count]
