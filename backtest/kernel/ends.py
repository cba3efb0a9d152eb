"""The ends of time as plain integers, which compiled code wants (`backtest.intervals` has them as numpy scalars)."""

from __future__ import annotations

from backtest import intervals

FOREVER = int(intervals.FOREVER)
ALWAYS = int(intervals.ALWAYS)
