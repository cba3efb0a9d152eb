"""Instants of any common form as whole microseconds since 1970 UTC: kept at the source's precision, cut below a microsecond, never rounded up.

- datetimes of milliseconds, microseconds, nanoseconds; without a zone they are UTC; dates are their midnight;
- numbers since 1970, each by its magnitude: below 10^11 seconds, below 10^14 milliseconds, below 10^17 microseconds, else nanoseconds;
  floating numbers name the nearest microsecond, which is all that a double can hold;
- text: ISO 8601 (`2026-01-31`, `2026-01-31T09:00`, `2026-01-31 09:00:00.123456+02:00`; no zone is UTC), or such a number in digits.

Rows may differ in form within a column of text. What is none of these is null.
"""

from __future__ import annotations

import polars as pl

from backtest.durations import DAY, HOUR, MINUTE

SECOND = 1_000_000
FARTHEST = 2**60
"""Microseconds either side of 1970 (36,000 years); what lies further is no instant."""

ISO = r"^\s*(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?)?\s*(Z|z|UTC|[+-]\d\d(?::?\d\d)?)?\s*$"
DIGITS = r"^\s*(-?\d{1,19})(?:\.(\d+))?\s*$"


def readable(dtype: pl.DataType) -> bool:
    return dtype == pl.String or dtype == pl.Date or isinstance(dtype, pl.Datetime) or dtype.is_numeric()


def instant(column: str, dtype: pl.DataType) -> pl.Expr:
    """Microseconds since 1970 as Int64, null where the row has no readable instant."""
    raw = pl.col(column)
    if isinstance(dtype, pl.Datetime):
        ticks = raw.cast(pl.Int64)
        micros = _bounded(ticks, 1000) * 1000 if dtype.time_unit == "ms" else ticks // 1000 if dtype.time_unit == "ns" else ticks
    elif dtype == pl.Date:
        micros = raw.cast(pl.Int32).cast(pl.Int64) * DAY
    elif dtype.is_float():
        micros = _of_float(raw)
    elif dtype.is_decimal():
        micros = _of_text(raw.cast(pl.String))
    elif dtype.is_integer():
        micros = _of_number(raw.cast(pl.Int64, strict=False), pl.lit(None, pl.String))
    else:
        micros = _of_text(raw)
    return _bounded(micros, 1)


def cut(column: str, dtype: pl.DataType) -> pl.Expr:
    """Whether digits below a microsecond were cut off."""
    raw = pl.col(column)
    if isinstance(dtype, pl.Datetime) and dtype.time_unit == "ns":
        return raw.cast(pl.Int64) % 1000 != 0
    if dtype.is_integer():
        return (raw >= 10**17) & (raw % 1000 != 0)
    if dtype == pl.String:
        return (raw.str.extract(ISO, 5).str.slice(6).str.strip_chars("0") != "").fill_null(value=False)
    return pl.lit(value=False)


def before(column: str, dtype: pl.DataType, end: int) -> pl.Expr | None:
    """The rows before `end` in the column's own type, which Parquet's statistics can answer; None where the type does not allow it.

    Rows without an instant are left out too, so this must not be used to count them.
    """
    if not isinstance(dtype, pl.Datetime):
        return None
    ticks = -(-end // 1000) if dtype.time_unit == "ms" else end * 1000 if dtype.time_unit == "ns" else end
    return pl.col(column) < pl.lit(ticks, pl.Int64).cast(dtype) if abs(ticks) < 2**63 else None


def _bounded(ticks: pl.Expr, scale: int) -> pl.Expr:
    return pl.when(ticks.is_between(-FARTHEST // scale, FARTHEST // scale)).then(ticks)


def _of_float(raw: pl.Expr) -> pl.Expr:
    size = raw.abs()
    scaled = pl.when(size < 1e11).then(raw * 1e6).when(size < 1e14).then(raw * 1e3).when(size < 1e17).then(raw).otherwise(raw / 1e3)
    return scaled.round().cast(pl.Int64, strict=False)


def _of_number(whole: pl.Expr, fraction: pl.Expr) -> pl.Expr:
    """`fraction`: the decimals as text; millionths of whichever unit the whole number has."""
    size, sign = whole.abs(), pl.when(whole < 0).then(-1).otherwise(1)
    millionths = fraction.str.slice(0, 6).str.pad_end(6, "0").cast(pl.Int64, strict=False).fill_null(0) * sign
    return (
        pl.when(size < 10**11)
        .then(_bounded(whole, SECOND) * SECOND + millionths)
        .when(size < 10**14)
        .then(_bounded(whole, 1000) * 1000 + millionths // 1000)
        .when(size < 10**17)
        .then(whole)
        .otherwise(whole // 1000)
    )


def _of_text(raw: pl.Expr) -> pl.Expr:
    # Through a function, because each part of a match would otherwise search the text again.
    return raw.map_batches(_read_texts, return_dtype=pl.Int64, is_elementwise=True)


def _read_texts(texts: pl.Series) -> pl.Series:
    parts = pl.DataFrame({"text": texts}).select(pl.col("text").str.extract_groups(ISO).struct.unnest(), pl.col("text"))
    written = parts.select(_written().alias("at"))["at"]
    if written.null_count() == texts.null_count():
        return written
    digits = parts.select(pl.when(written.is_null()).then(pl.col("text")).str.extract_groups(DIGITS).struct.unnest())
    return written.fill_null(digits.select(_of_number(pl.col("1").cast(pl.Int64, strict=False), pl.col("2")).alias("at"))["at"])


def _written() -> pl.Expr:
    """The instant in the groups of `ISO`."""
    hour, minute, second = (pl.col(group).cast(pl.Int64, strict=False).fill_null(0) for group in "234")
    fraction = pl.col("5").str.slice(0, 6).str.pad_end(6, "0").cast(pl.Int64, strict=False).fill_null(0)
    day = pl.col("1").str.to_date("%Y-%m-%d", strict=False).cast(pl.Int32).cast(pl.Int64) * DAY
    zone = pl.col("6")
    minutes = pl.when(zone.str.len_bytes() > 3).then(zone.str.slice(-2).cast(pl.Int64, strict=False)).fill_null(0)
    ahead = zone.str.slice(1, 2).cast(pl.Int64, strict=False).fill_null(0) * HOUR + minutes * MINUTE
    east = pl.when(zone.str.starts_with("-")).then(-ahead).otherwise(ahead)
    sound = (hour < 24) & (minute < 60) & (second < 60)
    return pl.when(sound).then(day + hour * HOUR + minute * MINUTE + second * SECOND + fraction - east)
