"""From batches to rows: one sorted Parquet table of events with ids, JSON texts and arrival times, made in slices of bounded size."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from backtest.durations import DAY, HOUR
from backtest.intervals import Codes, Flags, Ints
from beton.sandbox.worlds.people import Population, Streams
from beton.sandbox.worlds.properties import Batch
from beton.sandbox.worlds.spec import Delivery, WorldSpec

SLICE = 500_000
"""Rows per slice; part of what a world is, because ids are drawn slice by slice."""

BROWSERS = ("Chrome", "Safari", "Firefox", "Edge")
SYSTEMS = ("Mac OS X", "Windows", "Linux", "iOS", "Android")
FIRST_NAMES = ("Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gita", "Hugo", "Ines", "Jon", "Kira", "Lars", "Mia", "Noor", "Otto", "Pia")
LAST_NAMES = ("Abel", "Berg", "Costa", "Diaz", "Ek", "Fox", "Gallo", "Holm", "Ito", "Jung", "Kaya", "Lund", "Moss", "Novak", "Okoye", "Petit")
FIRMS = ("Alder", "Birch", "Cobalt", "Delta", "Ember", "Fjord", "Granite", "Harbor", "Indigo", "Juniper", "Kestrel", "Larch", "Maple", "Nimbus")
TRADES = ("Labs", "Logistics", "Foods", "Studio", "Health", "Energy", "Robotics", "Textiles", "Media", "Systems", "Works", "Partners", "Mobility")

_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_PLACES = np.array([place for place in range(36) if place not in (8, 13, 18, 23)])


def uuids(rng: np.random.Generator, count: int, at: Ints | None = None) -> pl.Series:
    """UUIDs of version 7 with the millisecond of `at` in them, or random ones of version 4."""
    raw = rng.integers(0, 256, (count, 16), dtype=np.uint8)
    if at is not None:
        raw[:, :6] = (at // 1000).astype(">u8").view(np.uint8).reshape(count, 8)[:, 2:]
    raw[:, 6] = (raw[:, 6] & 0x0F) | (0x40 if at is None else 0x70)
    raw[:, 8] = (raw[:, 8] & 0x3F) | 0x80
    text = np.full((count, 37), ord("-"), np.uint8)
    text[:, _PLACES[0::2]], text[:, _PLACES[1::2]], text[:, 36] = _HEX[raw >> 4], _HEX[raw & 15], ord("\n")
    if not count:
        return pl.Series([], dtype=pl.String)
    return pl.Series([text.tobytes()[:-1].decode("ascii")]).str.split("\n").explode()


@dataclass(frozen=True)
class Names:
    """What persons, accounts and sessions are called, and where they live."""

    person: pl.Series
    distinct: pl.Series
    visitor: pl.Series
    account: pl.Series
    account_title: pl.Series
    email: pl.Series
    title: pl.Series
    session: pl.Series
    device: pl.Series

    @classmethod
    def of(cls, spec: WorldSpec, population: Population, sessions: int, streams: Streams) -> Names:
        people, units = len(population.unit_of), population.units
        rng = streams["names"]
        firm = [f"{FIRMS[one % len(FIRMS)]} {TRADES[one // len(FIRMS) % len(TRADES)]}" for one in range(units)]
        key = [f"{name.lower().replace(' ', '-')}-{one}" for one, name in enumerate(firm)]
        domain = [f"{name}.test" if inner else f"{name}.example" for name, inner in zip(key, population.internal.tolist(), strict=True)]
        given, family = rng.integers(0, len(FIRST_NAMES), people), rng.integers(0, len(LAST_NAMES), people)
        first, last = ([table[index] for index in drawn] for table, drawn in ((FIRST_NAMES, given), (LAST_NAMES, family)))
        pairs = list(zip(first, last, strict=True))
        where = [domain[unit] for unit in population.unit_of.tolist()]
        email = [f"{a}.{b}.{one}@{at}".lower() for one, ((a, b), at) in enumerate(zip(pairs, where, strict=True))]
        browser, system = rng.integers(0, len(BROWSERS), people), rng.integers(0, len(SYSTEMS), people)
        hosts = ["localhost:3000" if inner else spec.host for inner in population.internal[population.unit_of].tolist()]
        device = [
            f'"$browser":"{BROWSERS[one]}","$os":"{SYSTEMS[two]}","$lib":"web","$host":"{host}"'
            for one, two, host in zip(browser.tolist(), system.tolist(), hosts, strict=True)
        ]
        return cls(
            person=uuids(streams["person ids"], people),
            distinct=pl.Series([f"user_{one:07}" for one in range(people)], dtype=pl.String),
            visitor=uuids(streams["visitor ids"], people, population.joined),
            account=pl.Series(key, dtype=pl.String),
            account_title=pl.Series(firm, dtype=pl.String),
            email=pl.Series(email, dtype=pl.String),
            title=pl.Series([f"{a} {b}" for a, b in pairs], dtype=pl.String),
            # Sessions of behaviour, then one per unit for its outcome.
            session=uuids(streams["session ids"], sessions + units, np.full(sessions + units, population.start)),
            device=pl.Series(device, dtype=pl.String),
        )


@dataclass(frozen=True)
class EventTable:
    """All events of a world, cut into slices of consecutive instants."""

    spec: WorldSpec
    population: Population
    batches: Sequence[Batch]
    names: Names
    sessions: int
    streams: Streams
    delivery: Delivery

    def __len__(self) -> int:
        return sum(map(len, self.batches))

    def slices(self) -> Iterator[pl.DataFrame]:
        at = np.concatenate([batch.at for batch in self.batches])
        by = np.argsort(at, kind="stable")
        starts = np.concatenate(([0], np.cumsum([len(batch) for batch in self.batches])))
        for number, low in enumerate(range(0, len(by), SLICE)):
            rows = by[low : low + SLICE]
            owner = np.searchsorted(starts, rows, "right") - 1
            parts, order = [], []
            for index in np.unique(owner):
                place = np.flatnonzero(owner == index)
                parts.append(self._rows(self.batches[index], rows[place] - starts[index]))
                order.append(place)
            whole = pl.concat(parts)[np.argsort(np.concatenate(order), kind="stable")]
            yield self._delivered(whole, self.streams[f"slice {number}"])

    def _rows(self, batch: Batch, local: Ints) -> pl.DataFrame:
        person = batch.person[local]
        unit = self.population.unit_of[person]
        session = batch.session[local]
        place = np.where(session >= 0, session, self.sessions - 2 - session)
        session_id = self.names.session.gather(np.where(session == -1, 0, place))
        pieces: list[pl.Expr | pl.Series] = [pl.lit("{"), self.names.device.gather(person)]
        known = pl.Series(session != -1)
        pieces.append(pl.when(known).then(pl.concat_str(pl.lit(',"$session_id":"'), session_id, pl.lit('"'))).otherwise(pl.lit("")))
        account = None
        if self.spec.seats and not batch.before_entry:
            account = self.names.account.gather(unit)
            pieces.append(pl.concat_str(pl.lit(f',"$groups":{{"{self.spec.seats.group}":"'), account, pl.lit('"}')))
        pieces += [self._told(name, person, unit) for name in _TOLD.get(batch.name, ())]
        for name, column in batch.columns.items():
            texts = pl.Series([f",{json.dumps(name)}:{json.dumps(value, separators=(',', ':'))}" for value in column.values] + [""], dtype=pl.String)
            codes = column.codes[local]
            pieces.append(texts.gather(np.where(codes < 0, len(column.values), codes)))
        pieces.append(pl.lit("}"))
        distinct = self.names.visitor if batch.before_entry else self.names.distinct
        frame = pl.select(
            event=pl.repeat(batch.name, len(local), dtype=pl.String),
            distinct_id=distinct.gather(person),
            person_id=self.names.person.gather(person),
            timestamp=pl.Series(batch.at[local]).cast(pl.Datetime("us", "UTC")),
            properties=pl.concat_str(pieces),
            person=pl.Series(person),
        )
        if self.spec.seats:
            column = account if account is not None else pl.repeat("", len(local), dtype=pl.String)
            frame = frame.with_columns(
                pl.lit(column).alias(self.spec.seats.group) if isinstance(column, pl.Series) else column.alias(self.spec.seats.group)
            )
        return frame

    def _told(self, name: str, person: Codes, unit: Codes) -> pl.Expr:
        """Properties that PostHog's own events carry about who is who."""
        names = self.names
        if name == "$anon_distinct_id":
            return pl.concat_str(pl.lit(f',"{name}":"'), names.visitor.gather(person), pl.lit('"'))
        if name == "$group_key":
            return pl.concat_str(pl.lit(f',"{name}":"'), names.account.gather(unit), pl.lit('"'))
        if name == "$group_set":
            return pl.concat_str(pl.lit(f',"{name}":{{"name":"'), names.account_title.gather(unit), pl.lit('"}'))
        return pl.concat_str(pl.lit(f',"{name}":{{"email":"'), names.email.gather(person), pl.lit('"}'))

    def _delivered(self, whole: pl.DataFrame, rng: np.random.Generator) -> pl.DataFrame:
        """Ids, arrival times, and whatever goes wrong on the way."""
        count, told = len(whole), self.delivery
        at = whole["timestamp"].to_physical().to_numpy()
        delay = (200_000 + rng.random(count) * 1_800_000).astype(np.int64)
        late = rng.random(count) < told.late
        delay += np.where(late, HOUR + np.minimum(rng.exponential(6.0, count) * HOUR, 3 * DAY), 0).astype(np.int64)
        # Visitors are not known yet, so they have no second device.
        second = (
            whole["distinct_id"].str.starts_with("user_").to_numpy() & has_second_device(whole["person"].to_numpy(), told) & (rng.random(count) < 0.3)
        )
        frame = whole.select(
            uuids(rng, count, at).alias("uuid"),
            "event",
            pl.when(pl.Series(second))
            .then(pl.concat_str(pl.lit("device_"), pl.col("distinct_id")))
            .otherwise(pl.col("distinct_id"))
            .alias("distinct_id"),
            "person_id",
            "timestamp",
            "properties",
            pl.Series(at + delay).cast(pl.Datetime("us", "UTC")).alias("created_at"),
            *([self.spec.seats.group] if self.spec.seats else []),
        )
        again = np.flatnonzero(rng.random(count) < told.duplicates)
        if not len(again):
            return frame
        copies = frame[again].with_columns(pl.col("created_at") + pl.duration(seconds=30))
        return pl.concat((frame, copies)).sort("timestamp", maintain_order=True)


def has_second_device(person: np.ndarray, delivery: Delivery) -> Flags:
    return person % 1000 < delivery.merges * 1000


def second_device(distinct_id: pl.Expr) -> pl.Expr:
    return pl.concat_str(pl.lit("device_"), distinct_id)


_TOLD = {"$identify": ("$anon_distinct_id", "$set"), "$groupidentify": ("$group_key", "$group_set")}
