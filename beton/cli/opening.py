"""What a command needs of this installation: settings, store and clock, opened for as long as it runs."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from beton.cli.options import now
from beton.errors import BadInput, SettingsError

if TYPE_CHECKING:
    from beton.settings import Settings
    from beton.store.records import Connection
    from beton.work.workplace import Workplace


InWorkspace = Annotated[str | None, Parameter(name="--workspace", help="Name or id of a workspace; the first one unless given.")]


@contextmanager
def opened(
    settings: Settings | None = None, *, create: bool = False, clock: Callable[[], datetime] = now, workspace: str | None = None
) -> Generator[Workplace]:
    """The workplace of this installation. Only commands that set Beton up may `create` it; the others say how."""
    from beton.settings import load_settings, with_local_key

    known = settings or load_settings()
    need_set_up(known, create=create)
    known = with_local_key(known)
    from beton.store.store import open_store
    from beton.store.workspaces import named
    from beton.work.workplace import Workplace

    store = open_store(known, clock)
    try:
        yield Workplace(known, store if workspace is None else store.of(named(store, workspace).id), clock)
    finally:
        store.close()


def need_set_up(settings: Settings, *, create: bool = False) -> None:
    """Raises where nothing has been set up yet (unless it is about to be), and where a database has lost the key that opens it."""
    from beton.settings import LOCAL_KEY_FILE

    url = settings.effective_database_url
    file = Path(url.removeprefix("sqlite:///")) if url.startswith("sqlite:///") else None
    fresh = create if file is None else not file.is_file()
    if fresh and not create:
        fix = "Begin with: beton connect NAME --host HOST --project ID"
        raise SettingsError("Beton is not set up here yet: it has no database.", code="setup.missing", fix=fix)
    key = settings.data_dir / LOCAL_KEY_FILE
    if not fresh and settings.secret_key is None and not key.is_file():
        raise SettingsError(
            f"There is a database, but not the key that opens its secrets: {key} is missing.",
            code="settings.secret_key_missing",
            fix=f"Put {key} back, or set BETON_SECRET_KEY to the key that was used.",
        )


def link_address(settings: Settings, token: str) -> str:
    """Where a single-use link leads."""
    return f"{settings.address}/link/{token}"


def set_up_link(place: Workplace) -> str | None:
    """The address by which the first admin gets in; `None` when there is one already. Former ones that nobody used lead nowhere any more."""
    from beton.roles import Role
    from beton.store import members, sessions

    if members.any_admin(place.store):
        return None
    with place.store.transaction() as tx:
        sessions.withdraw_links(tx, "")
        _, token = sessions.make_link(tx, "invite", "", actor=actor(), role=Role.ADMIN)
    return link_address(place.settings, token)


def choose_connection(place: Workplace, name: str | None) -> Connection:
    """The connection of this name or id; without one, the only one there is."""
    from beton.store import connections

    if name is not None:
        return place.connection(name)
    with place.store.reading() as tx:
        every = connections.every(tx)
    if len(every) != 1:
        names = ", ".join(one.name for one in every) or "none yet"
        raise BadInput("Say which connection is meant.", fix=f"There are: {names}.")
    return every[0]


def actor() -> str:
    """Who is at the keyboard, as the audit log will name them."""
    try:
        return f"{pwd.getpwuid(os.getuid()).pw_name} (command line)"
    except KeyError:  # a container's user has a number and no name
        return f"user {os.getuid()} (command line)"
