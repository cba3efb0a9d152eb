"""Where events lie: a file, a folder, a glob or an address in object storage, read lazily as one table.

Parquet keeps its types. CSV and JSON lines are read as text throughout (an object within a line as its JSON), so that no guess about types
from the first rows can change an id or lose a row further down.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import orjson
import polars as pl

from beton.errors import BadInput

Kind = Literal["parquet", "csv", "jsonl"]

KINDS: dict[str, Kind] = {"parquet": "parquet", "pq": "parquet", "csv": "csv", "jsonl": "jsonl", "ndjson": "jsonl", "json": "jsonl"}
SUFFIX = re.compile(r"\.(parquet|pq|csv|jsonl|ndjson|json)(?:\.(\w{1,7}))?$", re.IGNORECASE)
READABLE_COMPRESSION = {"gz", "gzip", "zst", "zstd"}
"""Of CSV and JSON lines; Parquet compresses within."""

IN_POLARS = {"s3", "s3a", "gs", "gcs", "az", "azure", "adl", "abfs", "abfss"}
"""Object storage that is read lazily. Credentials and endpoints come from the usual variables of each cloud (`AWS_…`, `GOOGLE_…`, `AZURE_…`)."""

LINES_LOOKED_AT = 10_000
"""JSON lines have no header: their columns are the keys of so many first lines."""

NAMES_SHOWN = 30


class LinesNeeded(Exception):
    """The fast reader of JSON lines cannot be believed here: read again line by line."""


@dataclass(frozen=True)
class Source:
    """One table of events. `schema` maps the columns found to their types.

    `line_by_line`: JSON lines are searched one by one. Four times slower, but a broken line is a row without anything in place of an error, and
    objects are written out faithfully: polars' own reader forgets to escape quotes in keys (seen in 2.1). See `LinesNeeded`.
    """

    location: str
    kind: Kind
    files: tuple[Any, ...]
    schema: Mapping[str, pl.DataType] = field(default_factory=dict)
    storage_options: Mapping[str, str] | None = None
    line_by_line: bool = False

    def scan(self, wanted: Collection[str]) -> pl.LazyFrame:
        """The columns asked for, of all rows in the order of the files."""
        names = [name for name in self.schema if name in wanted]
        if self.kind != "jsonl":
            return self._table().select(names)
        if not self.line_by_line:
            return pl.scan_ndjson(list(self.files), schema=dict.fromkeys(names, pl.String), storage_options=self._options)
        return self._lines().select(pl.col("line").str.json_path_match(json_path((name,))).alias(name) for name in names)

    def trust(self, *, broken: int) -> None:
        """Raises LinesNeeded where broken properties may be the fast reader's own fault."""
        if broken and self.kind == "jsonl" and not self.line_by_line:
            raise LinesNeeded

    def each_file(self) -> Iterator[tuple[str, Source]]:
        """Every file as a source of its own, with its name."""
        for file in self.files:
            yield Path(file).name if isinstance(file, str) else "", replace(self, files=(file,))

    @property
    def _options(self) -> dict[str, str] | None:
        return dict(self.storage_options) if self.storage_options else None

    def _table(self) -> pl.LazyFrame:
        far = isinstance(self.files[0], str) and "://" in self.files[0]  # nearby, names were already looked up and mean themselves
        if self.kind == "parquet":
            # A column that only some files have is missing in the others; one that the first file lacks is not read.
            return pl.scan_parquet(
                list(self.files), glob=far, missing_columns="insert", extra_columns="ignore", hive_partitioning=False, storage_options=self._options
            )
        return pl.scan_csv(
            list(self.files), glob=far, infer_schema=False, missing_columns="insert", extra_columns="ignore", storage_options=self._options
        )

    def _lines(self) -> pl.LazyFrame:
        return pl.scan_lines(list(self.files), storage_options=self._options).filter(pl.col("line").str.strip_chars() != "")

    def _found(self) -> dict[str, pl.DataType]:
        if self.kind != "jsonl":
            return dict(self._table().collect_schema())
        keys: dict[str, pl.DataType] = {}
        for line in self._lines().head(LINES_LOOKED_AT).collect(engine="streaming")["line"]:
            try:
                row = orjson.loads(line)
            except ValueError:
                continue
            keys |= dict.fromkeys(row, pl.String()) if isinstance(row, dict) else {}
        return keys


def json_path(keys: tuple[str, ...]) -> str:
    """A path in the form that polars reads. Raises BadInput for a key with both kinds of quotes."""
    if any("'" in key and '"' in key for key in keys):
        raise BadInput(f"the key {keys} holds both kinds of quotes and cannot be looked up")
    return "$" + "".join(f'["{key}"]' if "'" in key else f"['{key}']" for key in keys)


@contextmanager
def telling(location: str) -> Generator[None]:
    """Failures of reading as BadInput that names the place."""
    try:
        yield
    except (pl.exceptions.PolarsError, OSError, ImportError) as error:
        why = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise BadInput(f"{location} cannot be read: {why}", fix="Check the address, the format and the credentials.") from error


def open_source(location: str, kind: Kind | None = None, storage_options: Mapping[str, str] | None = None) -> Source:
    """Find the files and their columns. Raises BadInput where there is nothing to read, or nothing readable."""
    with telling(location):
        files, found = _files(location, kind)
        source = Source(location, found, files, storage_options=storage_options)
        schema = source._found()
    if not schema:
        raise BadInput(f"{location} holds no rows that can be read as {found}", fix="Give Parquet, CSV with a header, or one JSON object per line.")
    return replace(source, schema=schema)


def _files(location: str, kind: Kind | None) -> tuple[tuple[Any, ...], Kind]:
    scheme = location.split("://", 1)[0].lower() if "://" in location else ""
    if "::" in location or scheme in ("http", "https"):
        raise BadInput(f"{location}: events are not read over {scheme or 'chained addresses'}", fix="Download the file, or use object storage.")
    if scheme in IN_POLARS:
        if SUFFIX.search(location):
            return (location,), kind or _kind_of([location], location)
        kind = kind or "parquet"
        return (location if "*" in location else f"{location.rstrip('/')}/**/*.{kind}*",), kind
    if scheme and scheme != "file":
        return _elsewhere(location, kind)
    found = _nearby(location.removeprefix("file://"))
    if not found:
        raise BadInput(f"{location}: no such file, and no file with events below it", fix="Files end in .parquet, .csv, .jsonl (also .gz, .zst).")
    return tuple(found), kind or _kind_of(found, location)


def _nearby(location: str) -> list[str]:
    path = Path(location).expanduser()
    if path.is_file():
        return [str(path)]
    if path.is_dir():
        inside = (one for one in path.rglob("*") if one.is_file() and SUFFIX.search(one.name))
        return sorted(str(one) for one in inside if not any(part.startswith((".", "_")) for part in one.relative_to(path).parts))
    return sorted(name for name in glob.glob(str(path), recursive=True) if Path(name).is_file())


def _elsewhere(location: str, kind: Kind | None) -> tuple[tuple[Any, ...], Kind]:
    """Whatever else fsspec can open (`sftp://`, `memory://`): read whole into memory, never to disk."""
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(location)
    except ValueError as error:
        raise BadInput(f"{location}: {error}") from error
    names = system.find(path) if system.isdir(path) else system.glob(path) if glob.has_magic(path) else [path]
    names = sorted(name for name in names if kind or SUFFIX.search(name))
    if not names or not all(map(system.isfile, names)):
        raise BadInput(f"{location}: no such file, and no file with events below it")
    return tuple(system.cat_file(name) for name in names), kind or _kind_of(names, location)


def _kind_of(names: Collection[str], location: str) -> Kind:
    kinds: set[Kind] = set()
    for name in names:
        found = SUFFIX.search(name)
        if found is None:
            raise BadInput(f"{name}: this is no file of events by its name", fix="Files end in .parquet, .csv, .jsonl (also .gz, .zst).")
        mine = KINDS[found[1].lower()]
        if mine != "parquet" and found[2] and found[2].lower() not in READABLE_COMPRESSION:
            raise BadInput(f"{name}: .{found[2]} cannot be unpacked here", fix="Use gzip or zstd, or export Parquet.")
        kinds.add(mine)
    if len(kinds) > 1:
        raise BadInput(f"{location} mixes {', '.join(sorted(kinds))}", fix="Name the files of one kind with a glob, for example 'events/*.parquet'.")
    return kinds.pop()


def columns_shown(schema: Mapping[str, Any]) -> str:
    names = list(schema)
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else "")


Rescan = Callable[[Source], pl.LazyFrame]


def example_rows(source: Source, build: Rescan, most: int = 5) -> tuple[str, ...]:
    """The first rows that `build` keeps (it must keep the column `row`), as people find them: `row 17`, or `day2.csv row 17`. Counts from 1."""
    found: list[str] = []
    for name, part in source.each_file():
        rows = build(part).head(most - len(found)).collect(engine="streaming")["row"].to_list()
        prefix = f"{name} " if len(source.files) > 1 and name else ""
        found += [f"{prefix}row {row}" for row in rows]
        if len(found) >= most:
            break
    return tuple(found)
