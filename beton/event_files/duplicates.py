"""Events that were delivered more than once: rows with one uuid count once, as the earliest of them, whatever units they name.

A person merge between two exports gives the same event two person ids, so duplicates are found over the whole file, not within a bucket. Only
hashes are compared: 64 bits find the candidates, 128 bits decide.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import polars as pl

SEEDS = (11, 23, 37)
KEY = ("uuid", "uuid2")


def hashes(uuid: pl.Expr, name: pl.Expr, unit: pl.Expr) -> list[pl.Expr]:
    """`uuid` null: the row is nobody's duplicate. `tie` tells copies of one instant apart. Polars' hashes hold within one version only; no
    choice depends on them."""
    first, second = (pl.when(uuid.is_not_null()).then(uuid.hash(seed)) for seed in SEEDS[:2])
    return [first.alias("uuid"), second.alias("uuid2"), pl.struct(name.alias("n"), unit.alias("u")).hash(SEEDS[2]).alias("tie")]


@dataclass
class Duplicates:
    """`winners`: of each uuid that occurs more than once, the copy that counts. Feed it the batches of one bucket, where all repeats of a winner
    are; `dropped` counts the other copies."""

    winners: pl.DataFrame
    counted: set[tuple[int, int]] = field(default_factory=set)
    dropped: int = 0

    def without(self, batch: pl.DataFrame) -> pl.DataFrame:
        """The batch without losing copies and without repeats of a winner."""
        if not len(self.winners):
            return batch
        joined = batch.select("uuid", "uuid2", "at", "tie").join(self.winners, on=["uuid", "uuid2"], how="left", maintain_order="left")
        contested = joined["won_at"].is_not_null().to_numpy()
        keep = ~contested | ((joined["at"] == joined["won_at"]) & (joined["tie"] == joined["won_tie"])).fill_null(value=False).to_numpy()
        for index, key in zip(np.flatnonzero(contested & keep).tolist(), joined.filter(contested & keep).select("uuid", "uuid2").rows(), strict=True):
            keep[index] = key not in self.counted
            self.counted.add(key)
        self.dropped += int((~keep).sum())
        return batch.filter(pl.Series(keep))


def find_duplicates(rows: pl.LazyFrame, parts: int) -> pl.DataFrame:
    """The winners. `rows`: the columns of `hashes`, `at`, and `unit` and `name` as text, which decide between copies of one instant. One pass
    for each part, in which the hashes of that part are in memory."""
    contested = [_repeated(rows.filter(pl.col("uuid") % parts == part)) for part in range(parts)]
    repeated = np.concatenate(contested)
    columns = {"uuid": pl.UInt64, "uuid2": pl.UInt64, "won_at": pl.Int64, "won_tie": pl.UInt64}
    if not len(repeated):
        return pl.DataFrame(schema=columns)
    contested_rows = rows.join(pl.LazyFrame({"uuid": repeated}), on="uuid", how="semi")
    copies = contested_rows.select("uuid", "uuid2", "at", "tie").collect(engine="streaming")
    earliest = copies.group_by(KEY).agg(pl.len(), pl.col("at").min().alias("won_at")).filter(pl.col("len") > 1)
    first = copies.join(earliest, on=KEY).filter(pl.col("at") == pl.col("won_at"))
    won = first.group_by(*KEY, "won_at").agg(pl.col("tie").min().alias("won_tie"), pl.col("tie").n_unique().alias("tied"))
    settled, tied = won.filter(pl.col("tied") == 1).select(*columns), won.filter(pl.col("tied") > 1).select(*KEY, "won_at")
    return pl.concat([settled, _by_text(rows, tied).select(*columns)]) if len(tied) else settled


def _by_text(rows: pl.LazyFrame, tied: pl.DataFrame) -> pl.DataFrame:
    """Copies of one instant that name different units or events: the first in the order of their texts."""
    texts = rows.join(tied.lazy(), left_on=[*KEY, "at"], right_on=[*KEY, "won_at"], how="semi").collect(engine="streaming")
    ordered = texts.sort(*KEY, "unit", "name").group_by(KEY, maintain_order=True)
    return ordered.agg(pl.col("at").first().alias("won_at"), pl.col("tie").first().alias("won_tie"))


def _repeated(rows: pl.LazyFrame) -> np.ndarray:
    seen = np.sort(rows.select(pl.col("uuid").drop_nulls()).collect(engine="streaming")["uuid"].to_numpy())
    return np.unique(seen[1:][seen[1:] == seen[:-1]])
