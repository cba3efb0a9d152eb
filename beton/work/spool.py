"""Where events lie while the database cannot take them: files that only grow, a line for each, synced before anybody is told that they are safe.

What lies here is as sealed as in the table. Each file belongs to one process, which holds a lock on it; the system drops the lock with the process,
and whoever runs next on this directory takes over what the dead one has left. A line that a crash has cut off was never acknowledged.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

LARGEST = 512_000_000
"""Bytes on disk; more is refused."""

AT_ONCE = 4_000_000
"""Bytes that are read back at a time."""


class SpoolFull(Exception):
    """There is no room: neither by the bound above, nor, perhaps, on the disk."""


class Spool:
    """The files of one directory. One thread puts in, one takes out."""

    def __init__(self, directory: Path, largest: int = LARGEST) -> None:
        self._directory, self._largest = directory, largest
        self._lock = threading.Lock()
        self._waiting: list[_File] = []
        self._current: _File | None = None
        self.size = 0

    def adopt(self) -> int:
        """Take over what processes that live no more have left; how many files."""
        if not self._directory.is_dir():
            return 0
        found = [one for path in sorted(self._directory.glob("*.jsonl")) if (one := _File.taken_over(path)) is not None]
        with self._lock:
            self._waiting = found + self._waiting
            self.size += sum(one.length for one in found)
        return len(found)

    @property
    def empty(self) -> bool:
        """Whether nothing lies here."""
        return self._current is None and not self._waiting

    def put(self, rows: Sequence[dict[str, Any]]) -> None:
        """Rows that are on the disk when this returns. Raises `SpoolFull`."""
        told = b"".join(orjson.dumps(row) + b"\n" for row in rows)
        with self._lock:
            if self.size + len(told) > self._largest:
                raise SpoolFull
            try:
                if self._current is None:
                    self._current = _File.fresh(self._directory)
                self._current.append(told)
            except OSError as error:
                raise SpoolFull from error
            self.size += len(told)

    def first(self) -> list[dict[str, Any]]:
        """Some of the rows that have lain here longest; the same again until `done` is called."""
        with self._lock:
            one = self._oldest()
            return [] if one is None else [_row(line) for line in one.lines() if _whole(line)]

    def done(self) -> None:
        """What `first` gave is safe elsewhere."""
        with self._lock:
            one = self._oldest()
            if one is None:
                return
            self.size -= one.pass_over()
            if one.left == 0:
                one.remove()
                if one is self._current:
                    self._current = None
                else:
                    self._waiting.remove(one)

    def close(self) -> None:
        """Give the files up, as they are."""
        with self._lock:
            for one in (*self._waiting, *([self._current] if self._current else [])):
                one.close()
            self._waiting, self._current = [], None

    def _oldest(self) -> _File | None:
        return self._waiting[0] if self._waiting else self._current


class _File:
    """One file, locked by this process, of which a beginning may have been read."""

    def __init__(self, path: Path, handle: int, length: int) -> None:
        self._path, self._handle = path, handle
        self.length, self._read, self._given = length, 0, 0

    @classmethod
    def fresh(cls, directory: Path) -> _File:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        while True:
            path = directory / f"{secrets.token_hex(8)}.jsonl"
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
            if _locked(handle, path):
                break
            os.close(handle)
        folder = os.open(directory, os.O_RDONLY)  # the file's name has to be safe as well
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return cls(path, handle, 0)

    @classmethod
    def taken_over(cls, path: Path) -> _File | None:
        try:
            handle = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            return None
        if not _locked(handle, path):
            os.close(handle)
            return None
        return cls(path, handle, os.fstat(handle).st_size)

    @property
    def left(self) -> int:
        return self.length - self._read

    def append(self, told: bytes) -> None:
        written = 0
        try:
            while written < len(told):
                written += os.pwrite(self._handle, told[written:], self.length + written)
            os.fdatasync(self._handle)
        except OSError:
            os.ftruncate(self._handle, self.length)  # what was not acknowledged must not lie in the way of what comes next
            raise
        self.length += len(told)

    def lines(self) -> list[bytes]:
        some = os.pread(self._handle, min(AT_ONCE, self.left), self._read)
        while b"\n" not in some and len(some) < self.left:
            some += os.pread(self._handle, AT_ONCE, self._read + len(some))
        end = some.rfind(b"\n") + 1 or len(some)
        self._given = end
        return some[:end].split(b"\n")[: -1 if some[:end].endswith(b"\n") else None]

    def pass_over(self) -> int:
        given, self._given = self._given, 0
        self._read += given
        return given

    def remove(self) -> None:
        self._path.unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        os.close(self._handle)


def _locked(handle: int, path: Path) -> bool:
    """Whether this process holds the file now, and the file is still the one of that name."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return path.exists() and os.fstat(handle).st_ino == path.stat().st_ino


def _whole(line: bytes) -> bool:
    return line.endswith(b"}")


def _row(line: bytes) -> dict[str, Any]:
    row = orjson.loads(line)
    return row | {"received_at": datetime.fromisoformat(row["received_at"])}
