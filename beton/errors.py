"""Every way Beton refuses or fails, as one tree.

    BetonError                     beton.failed            500  exit 1
    ├── BadInput                   input.refused           422  exit 2   carries a list of Fault
    ├── NotFound                   not_found               404  exit 1
    ├── Conflict                   conflict                409  exit 1
    │   ├── IllegalTransition      conflict.transition     409
    │   └── StaleVersion           conflict.stale_version  409
    ├── Unauthorized               unauthorized            401  exit 1
    ├── Forbidden                  forbidden               403  exit 1
    ├── TooMany                    too_many.requests       429  exit 3
    ├── PostHogError               posthog.failed          502  exit 1   policy never
    │   ├── PostHogUnreachable     posthog.host_unreachable  503  exit 3   policy later    no whole answer came
    │   ├── PostHogBusy            posthog.busy              503  exit 3   policy later    429, 503, other 5xx
    │   ├── PostHogWrongAddress    posthog.not_json_wrong_region 422 exit 2 policy never   not PostHog's API
    │   ├── PostHogDenied          posthog.key_invalid       422  exit 2   policy never    key, scope, project, quota
    │   ├── PostHogRefused         posthog.query_refused     502  exit 1   policy never    the request itself is wrong
    │   └── PostHogTooHeavy        posthog.query_timeout     504  exit 1   policy shrink   ask for less
    ├── DestinationError           destination.failed      502  exit 1
    │   ├── DestinationRefused     destination.refused     502           address not allowed, or nobody listens
    │   ├── DestinationTimeout     destination.timeout     504
    │   ├── DestinationGone        destination.gone        410           the receiver asked us to stop
    │   └── DestinationBadStatus   destination.bad_status  502
    ├── SettingsError              settings.invalid        500  exit 2
    └── StoreError                 store.failed            500  exit 1

Classes say how to *react*; `code` says what *happened* and is stable: pages, scripts and the list of codes in `posthog/failures.py` depend
on it. A class's code is only the default, one class covers several. `exit_code` is what the command line ends with: 2 when the input or the
set-up must be changed, 3 when the same command may succeed later, 1 for everything else.

Every text that enters an error is masked and cut here, so no caller can leak a key by raising.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Literal

EXCERPT = 500
"""Longest text kept of anything a stranger sent, in characters."""

Policy = Literal["never", "later", "shrink"]
"""What may be done with a failed read: nothing until something changes, the same again after a wait, or only a smaller one."""

# Every repetition is bounded or starts at a fixed word, so that a long text from a stranger costs time in proportion to its length.
_SECRETS = re.compile(
    r"""(?ix)
      (?<![a-z0-9]) (?P<prefix> ph[a-z]_ | whsec_ | btn_ | sk-(?:ant-|proj-)? | xox[a-z]- | pat-[a-z0-9]+- | gh[a-z]_ )
      [a-z0-9_+/=\-]{6,}
    | (?P<scheme> \b(?:bearer|basic)\s{1,5} ) [^\s"',;<>]{6,}
    | (?P<field> \b(?:(?:personal_)?api_?key|(?:access_|refresh_)?token|(?:client_)?secret|password)["']?\s{0,5}[=:]\s{0,5}["']? )
      [^\s"'&,;<>]{4,}
    | (?P<address> (?<![a-z0-9+.\-])[a-z][a-z0-9+.\-]{0,20}:// ) [^\s/@"']{1,300} @
    | (?P<link> /link/ ) [a-z0-9_\-]{20,}
    | (?P<hook> hooks\.slack\.com/[a-z]+/ | discord(?:app)?\.com/api/webhooks/ ) [^\s"'?]+
    """
)


def mask(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without keys: first the `secrets` of this call (an old key has no prefix to know it by), then everything shaped like one."""
    for secret in secrets:
        if len(secret) >= 4:
            text = text.replace(secret, "…")
    return _SECRETS.sub(_cover, text)


def _cover(found: re.Match[str]) -> str:
    kept = next(part for part in found.groups() if part)
    return f"{kept}…@" if found.group("address") else f"{kept}…"


def excerpt(text: str, secrets: Iterable[str] = (), limit: int = EXCERPT) -> str:
    """`text` masked, then cut: in the other order half a key could survive at the cut."""
    masked = mask(text[: 40 * limit], secrets)
    return masked if len(masked) <= limit else masked[: limit - 1] + "…"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in an input: `field` is a path such as `clauses[1].event`, `line` counts from 1, `nearest` are valid choices."""

    field: str
    message: str
    line: int | None = None
    nearest: tuple[str, ...] = ()

    def __str__(self) -> str:
        where = f"line {self.line}, {self.field}" if self.line is not None else self.field
        hint = f" (nearest: {', '.join(self.nearest)})" if self.nearest else ""
        return f"{where}: {self.message}{hint}"


class BetonError(Exception):
    """A failure that Beton understands: `message` says what happened and `fix` what to do, a sentence each; `details` are for machines."""

    code: str = "beton.failed"
    status: int = 500
    exit_code: ClassVar[int] = 1
    title: ClassVar[str] = "Beton could not do this"
    default_fix: ClassVar[str] = "Read the log of this run; if it does not explain itself, report it with the code above."

    def __init__(
        self,
        message: str,
        *,
        fix: str | None = None,
        code: str | None = None,
        status: int | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        self.message = excerpt(message)
        self.fix = excerpt(fix or self.default_fix)
        self.details: dict[str, Any] = {key: _clean(value) for key, value in (details or {}).items()}
        self.code = code or type(self).code
        self.status = status or type(self).status
        super().__init__(self.message)

    def as_problem(self) -> dict[str, Any]:
        """The error as an `application/problem+json` object (RFC 9457)."""
        return {
            "type": f"urn:beton:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.message,
            "code": self.code,
            "fix": self.fix,
            "details": self.details,
        }


def _clean(value: Any) -> Any:
    """Facts as JSON values, every text masked and cut; an object that is none is replaced by its text."""
    if isinstance(value, Mapping):
        return {excerpt(str(key)): _clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_clean(item) for item in value]
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return excerpt(str(value))


class BadInput(BetonError):
    """Something a person or a program handed in is wrong. A file with one fault is refused whole, with all faults listed."""

    code = "input.refused"
    status = 422
    exit_code = 2
    title = "The input was refused"
    default_fix = "Correct what is listed and try again; nothing was changed."

    def __init__(
        self,
        message: str,
        faults: Iterable[Fault] = (),
        *,
        fix: str | None = None,
        code: str | None = None,
        status: int | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message, fix=fix, code=code, status=status, details=details)
        self.faults = tuple(Fault(f.field, excerpt(f.message), f.line, tuple(map(excerpt, f.nearest))) for f in faults)

    def as_problem(self) -> dict[str, Any]:
        """As for every error, plus `errors`: the faults."""
        return super().as_problem() | {"errors": [asdict(fault) | {"nearest": list(fault.nearest)} for fault in self.faults]}


class NotFound(BetonError):
    """The thing named does not exist, or not in this workspace."""

    code = "not_found"
    status = 404
    title = "Not found"
    default_fix = "Check the name or number; a list of what exists is one level up."


class Conflict(BetonError):
    """The thing exists, but not in a state in which this can be done."""

    code = "conflict"
    status = 409
    title = "Not possible in this state"
    default_fix = "Reload and look at the present state before trying again."


class IllegalTransition(Conflict):
    """The table of transitions has no such step from the present status."""

    code = "conflict.transition"


class StaleVersion(Conflict):
    """Somebody else changed the thing since it was read."""

    code = "conflict.stale_version"
    default_fix = "Reload, look at what changed, and make the change again."


class Unauthorized(BetonError):
    """Nobody is signed in, or the token is not known."""

    code = "unauthorized"
    status = 401
    title = "Sign in first"
    default_fix = "Sign in, or send a valid token."


class Forbidden(BetonError):
    """The caller is known and may not do this."""

    code = "forbidden"
    status = 403
    title = "Not allowed"
    default_fix = "Ask an admin of the workspace for the missing permission."


class TooMany(BetonError):
    """Asked more often than is allowed. `retry_after` is in seconds."""

    code = "too_many.requests"
    status = 429
    exit_code = 3
    title = "Too many requests"
    default_fix = "Wait as long as Retry-After says."

    def __init__(self, message: str, *, retry_after: float = 1.0, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class PostHogError(BetonError):
    """PostHog did not give what was asked. `policy` says whether asking again can help.

    `retry_after` is PostHog's own wish in seconds, None when it did not say.
    """

    code = "posthog.failed"
    status = 502
    title = "PostHog did not answer as needed"
    policy: ClassVar[Policy] = "never"

    def __init__(
        self,
        message: str,
        *,
        fix: str | None = None,
        code: str | None = None,
        status: int | None = None,
        details: Mapping[str, Any] | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, fix=fix, code=code, status=status, details=details)
        self.retry_after = retry_after

    @property
    def shrink(self) -> bool:
        """True when the same text must not be sent again and a smaller one may succeed."""
        return self.policy == "shrink"

    @property
    def later(self) -> bool:
        """True when the same request may succeed after a wait."""
        return self.policy == "later"


class PostHogUnreachable(PostHogError):
    """No whole answer arrived: name, network, TLS or time."""

    code = "posthog.host_unreachable"
    status = 503
    exit_code = 3
    title = "PostHog cannot be reached"
    policy = "later"


class PostHogBusy(PostHogError):
    """PostHog asks for patience or has trouble of its own."""

    code = "posthog.busy"
    status = 503
    exit_code = 3
    title = "PostHog is busy"
    policy = "later"


class PostHogWrongAddress(PostHogError):
    """Something answers at the address, but not PostHog's private API."""

    code = "posthog.not_json_wrong_region"
    status = 422
    exit_code = 2
    title = "This is not PostHog's API"


class PostHogDenied(PostHogError):
    """The key, its scopes, the project or the bill stand in the way; only a person can change that."""

    code = "posthog.key_invalid"
    status = 422
    exit_code = 2
    title = "PostHog denies access"


class PostHogRefused(PostHogError):
    """PostHog understood the request and will never run it."""

    code = "posthog.query_refused"
    title = "PostHog refused the request"


class PostHogTooHeavy(PostHogError):
    """The query asks for more time, memory or bytes than PostHog gives one query."""

    code = "posthog.query_timeout"
    status = 504
    title = "The query is too heavy for PostHog"
    policy = "shrink"


class DestinationError(BetonError):
    """A signal could not be handed over."""

    code = "destination.failed"
    status = 502
    title = "The destination did not take the delivery"
    default_fix = "Check the destination's address and settings, then send a test."


class DestinationRefused(DestinationError):
    """The address may not be called, or nobody listens there."""

    code = "destination.refused"


class DestinationTimeout(DestinationError):
    """The destination did not answer in time; it may or may not have acted."""

    code = "destination.timeout"
    status = 504


class DestinationGone(DestinationError):
    """The receiver answered 410: it does not want deliveries any more."""

    code = "destination.gone"
    status = 410
    default_fix = "Remove the route, or give it a new address."


class DestinationBadStatus(DestinationError):
    """The destination answered with a status that means no."""

    code = "destination.bad_status"


class SettingsError(BetonError):
    """Beton is not set up so that it could start."""

    code = "settings.invalid"
    exit_code = 2
    title = "The settings are not usable"
    default_fix = "Correct the setting named above and start again."


class StoreError(BetonError):
    """The database refused, is missing, or holds something this version cannot read."""

    code = "store.failed"
    title = "The database did not cooperate"
    default_fix = "Check that the database is reachable and migrated, then try again."
