"""The list of codes: every way PostHog can fail Beton, with its class (which carries the retry policy), one sentence and one fix.

Codes are stable: pages, scripts and the reference documentation name them. `failures.py` decides which one an event means.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from beton.errors import (
    PostHogBusy,
    PostHogDenied,
    PostHogError,
    PostHogRefused,
    PostHogTooHeavy,
    PostHogUnreachable,
    PostHogWrongAddress,
    excerpt,
)


@dataclass(frozen=True, slots=True)
class Failure:
    """One row of the list of codes; `sentence` and `fix` are filled from the request and the answer."""

    kind: type[PostHogError]
    sentence: str
    fix: str


_LATER = "Nothing to do: Beton tries again by itself; if it stays, look at status.posthog.com."
_SMALLER = "Beton asks again for a shorter slice by itself; if it stays, choose a shorter window or fewer events."
_NEW_KEY = "Create a personal API key (phx_…) under Settings, Personal API keys, with read access to this project, and enter it."

FAILURES: dict[str, Failure] = {
    # No whole answer came.
    "posthog.host_unreachable": Failure(PostHogUnreachable, "Nothing answers at {host}.", "Check the host, its port and any firewall between."),
    "posthog.dns": Failure(PostHogUnreachable, "The name in {host} cannot be found.", "Check the spelling of the host and the DNS of this machine."),
    "posthog.timeout": Failure(PostHogUnreachable, "{host} did not answer in time.", _LATER),
    "posthog.connection_broken": Failure(PostHogUnreachable, "The connection to {host} broke: {cause}.", _LATER),
    "posthog.proxy": Failure(PostHogUnreachable, "The proxy before {host} refused: {cause}.", "Check HTTPS_PROXY and NO_PROXY of this machine."),
    # Something answered, but not PostHog's API.
    "posthog.address_invalid": Failure(PostHogWrongAddress, "{host} is not an address that can be asked.", "Enter us, eu, or a full https address."),
    "posthog.tls": Failure(
        PostHogWrongAddress,
        "{host} does not prove who it is: {cause}.",
        "Give the server a valid certificate, or make this machine trust its authority (SSL_CERT_FILE).",
    ),
    "posthog.not_json_wrong_region": Failure(
        PostHogWrongAddress,
        "{host} answered with a web page instead of JSON (status {status}).",
        "Check the region (us or eu) or the address: it must be PostHog's own, not the ingest host or a page before it.",
    ),
    "posthog.bad_json": Failure(
        PostHogUnreachable,
        "{host} sent an answer that cannot be read (status {status}).",
        "Check whether a proxy changes the answers; Beton tries again.",
    ),
    "posthog.redirected": Failure(
        PostHogWrongAddress,
        "{host} sends its visitors on to {location}.",
        "Enter the address it points to, if you trust it; Beton never follows with your key.",
    ),
    "posthog.endpoint_not_found": Failure(
        PostHogWrongAddress,
        "The PostHog at {host} does not know {path}.",
        "Update this PostHog; if it is current, check the path in its address.",
    ),
    # The key, the project, the bill.
    "posthog.key_missing": Failure(PostHogDenied, "There is no API key.", _NEW_KEY),
    "posthog.key_invalid": Failure(
        PostHogDenied, "PostHog does not accept the API key.", f"It may be revoked or belong to the other region. {_NEW_KEY}"
    ),
    "posthog.key_is_project_key": Failure(PostHogDenied, "This is a project key (phc_…): it can write events, not read them.", _NEW_KEY),
    "posthog.key_unknown_kind": Failure(PostHogDenied, "This key cannot be used: {cause}.", _NEW_KEY),
    "posthog.key_project_scoped": Failure(
        PostHogDenied,
        "The key is limited to projects and cannot read {path}.",
        "Nothing to do: Beton works with keys limited to one project.",
    ),
    "posthog.scope_missing": Failure(
        PostHogDenied,
        "The API key may not do this: it lacks the scope {scope}.",
        "Edit the key in PostHog and add {scope}; the key stays the same.",
    ),
    "posthog.project_forbidden": Failure(
        PostHogDenied, "The API key may not see project {project}.", "Let the key include this project, or choose one that it may see."
    ),
    "posthog.forbidden": Failure(PostHogDenied, "PostHog forbids this: {detail}", _NEW_KEY),
    "posthog.project_not_found": Failure(
        PostHogDenied,
        "There is no project {project} at {host}.",
        "Take the number from the address of your PostHog pages, and check the region.",
    ),
    "posthog.quota": Failure(PostHogDenied, "PostHog's billing limit stands in the way: {detail}", "Raise the limit in PostHog's billing settings."),
    # The request itself.
    "posthog.query_refused": Failure(PostHogRefused, "PostHog refused the request: {detail}", "Change the query; PostHog says above what is wrong."),
    "posthog.request_invalid": Failure(
        PostHogRefused, "Beton formed a request that cannot be sent: {cause}.", "Report this with the code; it is Beton's fault."
    ),
    "posthog.unexpected_status": Failure(
        PostHogRefused,
        "{host} answered with status {status}, which Beton does not expect: {detail}",
        "Check what stands between Beton and PostHog.",
    ),
    # Too much at once.
    "posthog.query_timeout": Failure(PostHogTooHeavy, "The query ran longer than PostHog allows.", _SMALLER),
    "posthog.query_memory": Failure(PostHogTooHeavy, "The query needs more memory than PostHog allows.", _SMALLER),
    "posthog.query_too_slow": Failure(PostHogTooHeavy, "PostHog expects the query to take too long and did not run it.", _SMALLER),
    "posthog.query_too_many_bytes": Failure(PostHogTooHeavy, "The query reads more bytes than PostHog allows one query.", _SMALLER),
    "posthog.failure_breaker": Failure(PostHogTooHeavy, "The same query failed the same way 3 times; PostHog does not run it for a while.", _SMALLER),
    "posthog.response_too_large": Failure(PostHogTooHeavy, "PostHog's answer is larger than {limit}.", _SMALLER),
    # Patience.
    "posthog.throttled": Failure(PostHogBusy, "PostHog's request budget is used up for now.", "Nothing to do: Beton waits and uses less of it."),
    "posthog.concurrency": Failure(PostHogBusy, "Too many queries run in this PostHog project at once.", "Nothing to do: Beton waits for its turn."),
    "posthog.budget_exceeded": Failure(
        PostHogBusy,
        "The PostHog project has read its budget of bytes.",
        "Nothing to do: it refills by the hour; a smaller window needs less of it.",
    ),
    "posthog.share_used": Failure(
        PostHogBusy,
        "Beton has used its share of PostHog's budget: {cause}.",
        "Nothing to do: it waits; the share is a setting of the connection.",
    ),
    "posthog.busy": Failure(PostHogBusy, "PostHog is too busy.", _LATER),
    "posthog.server_error": Failure(PostHogBusy, "PostHog failed (status {status}): {detail}", _LATER),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """The request that failed, as far as an error may tell. `secrets` are never told."""

    host: str
    project: str
    path: str
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def is_query(self) -> bool:
        """Whether this ran HogQL, where a gateway's 504 means the query's time and not the server's trouble."""
        return self.path.rstrip("/").endswith("query")


def failed(code: str, asked: Asked, *, retry_after: float | None = None, details: Mapping[str, Any] | None = None, **words: str) -> PostHogError:
    """The error of one code from the list, its sentence filled with `words`."""
    known = FAILURES[code]
    filled = {"host": asked.host, "project": asked.project, "path": asked.path, "cause": "", "detail": "", "scope": ""} | words
    clean = {key: excerpt(value, asked.secrets, limit=300) for key, value in filled.items()}
    facts = {"host": asked.host, "path": asked.path} | dict(details or {})
    return known.kind(
        known.sentence.format(**clean).strip(),
        fix=known.fix.format(**clean),
        code=code,
        details={key: excerpt(value, asked.secrets) if isinstance(value, str) else value for key, value in facts.items()},
        retry_after=retry_after,
    )
