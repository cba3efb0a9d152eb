"""What was asked of the sandbox: tests read it to see how politely a client behaves."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class Record:
    """One request. `in_flight` counts the requests being answered when it arrived, itself included."""

    method: str
    path: str
    started_at: str
    in_flight: int
    status: int | None = None
    seconds: float | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    query: str | None = None
    name: str | None = None
    refresh: str | None = None
    rows_read: int = 0
    bytes_read: int = 0
    rows_out: int = 0
    running: int = 0
    cached: bool = False
    fault: str | None = None


@dataclass(slots=True)
class Recorder:
    """Requests in order of arrival."""

    records: list[Record] = field(default_factory=list)
    _in_flight: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, method: str, path: str, started_at: str) -> Record:
        """A request arrived."""
        with self._lock:
            self._in_flight += 1
            record = Record(method, path, started_at, self._in_flight)
            self.records.append(record)
            return record

    def end(self) -> None:
        """A request was answered."""
        with self._lock:
            self._in_flight -= 1

    def listed(self) -> list[dict[str, Any]]:
        """Every record as JSON."""
        with self._lock:
            return [asdict(record) for record in self.records]

    def clear(self) -> None:
        """Forgets the records."""
        with self._lock:
            self.records.clear()
