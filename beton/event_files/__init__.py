"""Events from files and object storage, for backtests without PostHog and for projects beyond its Query API.

`open_event_file` finds the files and their columns; `EventFile.logs` gives the engine what a plan needs, in buckets of units that fit into
memory. Nothing raw is kept: a batch of rows becomes codes and instants and is dropped.
"""

from beton.event_files.buckets import Dropped, hash_probe
from beton.event_files.columns import ColumnMap, group_columns
from beton.event_files.event_file import EventFile, open_event_file
from beton.event_files.survey import SkippedRows

__all__ = ["ColumnMap", "Dropped", "EventFile", "SkippedRows", "group_columns", "hash_probe", "open_event_file"]
