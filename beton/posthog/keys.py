"""The kind of a PostHog key is written in its first letters, so a wrong one is told before any request."""

import re

from beton.posthog.codes import Asked, failed


def check_key(text: str, asked: Asked) -> str:
    """The key in `text`, without surrounding spaces and a pasted `Bearer`; raises when its kind is known to be unable to read."""
    key = re.sub(r"(?i)^bearer\s+", "", text.strip().strip("\"'")).strip()
    if not key:
        raise failed("posthog.key_missing", asked)
    if key.startswith("phc_"):
        raise failed("posthog.key_is_project_key", asked)
    kinds = {
        "phs_": "a project secret key (phs_…) serves feature flags and endpoints, not queries",
        "pha_": "an OAuth access token (pha_…) expires within hours",
        "phr_": "an OAuth refresh token (phr_…) cannot read anything by itself",
    }
    prefix = key[:4]
    if prefix in kinds:
        raise failed("posthog.key_unknown_kind", asked, cause=kinds[prefix])
    if re.match(r"ph[a-z]_", key) and prefix != "phx_":
        raise failed("posthog.key_unknown_kind", asked, cause=f"keys that begin with {prefix} are not known to Beton")
    # Keys from before the prefixes are plain letters and digits; anything else would also break the header it travels in.
    if not re.fullmatch(r"[A-Za-z0-9_\-]{8,200}", key):
        raise failed("posthog.key_unknown_kind", asked, cause="it is too short, too long, or contains characters that no key has")
    return key
