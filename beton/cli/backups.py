"""`beton backup` and `beton restore`: the database in one file, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from beton.cli.opening import opened
from beton.cli.options import FLAG, AsJson
from beton.cli.printing import print_json, say, write

if TYPE_CHECKING:
    from beton.settings import Settings
    from beton.store.backup import Manifest

File = Annotated[Path, Parameter(help="The file of the backup.")]


def backup(file: File, *, as_json: AsJson = False) -> None:
    """Write the whole database into one file, while everything runs on. The key that opens what is sealed in it is not in it: keep it elsewhere."""
    with opened() as place:
        from beton.store.backup import write_backup

        found = write_backup(place.store.engine, file, place.clock())
    if as_json:
        print_json({"file": str(file), "bytes": file.stat().st_size, "tables": _told(found)})
        return
    write(f"{file}: {sum(one.rows for one in found.values()):,} rows of {len(found)} tables, {file.stat().st_size:,} bytes.")
    say("The key is not in it. Keep BETON_SECRET_KEY, or the file secret.key, in another place.")


def restore(
    file: File,
    *,
    verify: Annotated[
        bool, FLAG, Parameter(help="Afterwards, or of a database that has rows instead: compare every table with the file, and try the key.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Fill an empty database with a backup. One that has rows is refused; with --verify it is compared with the file, and left as it is. Ends with 1
    where they differ."""
    from beton.settings import load_settings
    from beton.store.backup import NotEmpty, measure, measure_file, read_backup
    from beton.store.engines import open_engine
    from beton.store.migrate import migrate

    settings = load_settings()
    engine = open_engine(settings.effective_database_url)
    try:
        migrate(engine)
        try:
            found, filled = read_backup(engine, file), True
        except NotEmpty:
            if not verify:
                raise
            found, filled = measure_file(file), False
        there = measure(engine) if verify else found
        opens = _key_opens(settings) if verify else None
    finally:
        engine.dispose()
    differing = sorted(name for name in found if found[name] != there[name])
    if as_json:
        print_json({"restored": filled, "tables": _told(found), "verified": verify, "differing": differing, "key_opens": opens})
    else:
        _say(found, differing, filled=filled, verified=verify, opens=opens)
    return 1 if differing or opens is False else 0


def _key_opens(settings: Settings) -> bool:
    """Whether the present key opens what is sealed in the database. None is made here: a new one would open nothing."""
    from beton.cli.options import now
    from beton.errors import StoreError
    from beton.settings import LOCAL_KEY_FILE, with_local_key
    from beton.store.store import open_store
    from beton.store.workspaces import every

    if settings.secret_key is None and not (settings.data_dir / LOCAL_KEY_FILE).is_file():
        return False
    store = open_store(with_local_key(settings), now)
    try:
        for one in every(store):
            with store.of(one.id).reading():
                pass  # opens the key of the workspace's hashes
    except StoreError:
        return False
    finally:
        store.close()
    return True


def _told(found: Manifest) -> dict[str, dict[str, int | str]]:
    return {name: {"rows": one.rows, "digest": one.digest} for name, one in found.items()}


def _say(found: Manifest, differing: list[str], *, filled: bool, verified: bool, opens: bool | None) -> None:
    rows = f"{sum(one.rows for one in found.values()):,} rows of {len(found)} tables"
    write(f"Restored {rows}." if filled else f"The file holds {rows}; the database was left as it is.")
    if verified:
        write(f"Different: {', '.join(differing)}." if differing else "Every table of the database is that of the file, row by row.")
    if opens is False:
        write("The present key does not open what is sealed in it: set BETON_SECRET_KEY to the key of that installation.")
