"""Who may do what: four roles for people, and the same permissions as the scopes of keys.

Every address of the server names the one permission that it needs. A role is a set of permissions and nothing more: no code asks for a role by name.
A key has any part of what the role of its maker allows.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal


class Permission(StrEnum):
    """What one may be allowed to do."""

    READ = "read"  # hypotheses, their numbers, connections, taxonomies, runs
    DECIDE = "decide"  # approve, reject, snooze, pause, retire
    WRITE = "write"  # write and edit hypotheses, facts, the question
    RUN = "run"  # start backtests, proposals, readings of a taxonomy
    READ_SIGNALS = "read_signals"  # who fired, and their history
    WORK_SIGNALS = "work_signals"  # claim, give feedback, take back
    READ_ROUTES = "read_routes"  # where signals go, and what became of them
    MANAGE_ROUTES = "manage_routes"
    MANAGE_CONNECTIONS = "manage_connections"
    MANAGE_SETTINGS = "manage_settings"
    MANAGE_MEMBERS = "manage_members"  # members, their roles, all keys
    READ_AUDIT = "read_audit"


class Role(StrEnum):
    """What a member is in a workspace."""

    VIEWER = "viewer"
    SALES = "sales"
    REVIEWER = "reviewer"
    ADMIN = "admin"


_VIEWER = frozenset({Permission.READ, Permission.READ_SIGNALS, Permission.READ_ROUTES})

ROLES: dict[Role, frozenset[Permission]] = {
    Role.VIEWER: _VIEWER,
    Role.SALES: _VIEWER | {Permission.WORK_SIGNALS},
    Role.REVIEWER: _VIEWER | {Permission.DECIDE, Permission.WRITE, Permission.RUN, Permission.WORK_SIGNALS},
    Role.ADMIN: frozenset(Permission),
}


@dataclass(frozen=True)
class Caller:
    """Who is asking: a member with a session, or a program with a key. `id` is the member's or the key's, and belongs to the workspace."""

    id: str
    name: str
    workspace_id: str
    permissions: frozenset[Permission]
    role: Role | None
    """None for a key."""
    via: Literal["session", "key"]
    email: str | None
    """None for a key."""

    def may(self, permission: Permission) -> bool:
        """Whether this is among what the caller is allowed to do."""
        return permission in self.permissions

    @property
    def actor(self) -> str:
        """As the audit log names them: names may be given twice, ids are not."""
        return f"{self.name} ({self.id})"


def roles_table() -> str:
    """Roles and permissions as Markdown, for the reference page."""
    head = ["| permission | " + " | ".join(Role) + " |", "|---|" + "---|" * len(Role)]
    rows = [f"| `{one}` | " + " | ".join("yes" if one in ROLES[role] else "" for role in Role) + " |" for one in Permission]
    return "\n".join(head + rows)
