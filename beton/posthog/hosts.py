"""Where a PostHog project lives: whatever people paste, read as one base address of the private API.

PostHog Cloud has two regions with two hosts each: the private API (`us.posthog.com`) that we read, and the ingest host
(`us.i.posthog.com`) that SDKs write to. People paste either, or the address bar, or the retired `app.posthog.com`. A self-hosted PostHog
is any host, with a port and perhaps a path in front of `/api`. The key travels with every request: nothing here turns a secure address
into an insecure one.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Literal

import httpx

from beton.errors import BadInput, Fault

Region = Literal["us", "eu", "self_hosted"]

CLOUD: dict[Region, str] = {"us": "https://us.posthog.com", "eu": "https://eu.posthog.com"}
INGEST: dict[Region, str] = {"us": "https://us.i.posthog.com", "eu": "https://eu.i.posthog.com"}

_REGION_OF: dict[str, Region] = {
    "us.posthog.com": "us",
    "us.i.posthog.com": "us",
    "us-assets.i.posthog.com": "us",
    "app.posthog.com": "us",  # the only region there was, until 2023
    "eu.posthog.com": "eu",
    "eu.i.posthog.com": "eu",
    "eu-assets.i.posthog.com": "eu",
}
# The path of a self-hosted address is its prefix up to the first segment that is PostHog's own page or endpoint.
_POSTHOG_PATHS = frozenset(
    (
        *("api", "project", "projects", "environments", "organization", "login", "signup", "settings", "home", "insights", "dashboard"),
        *("dashboards", "persons", "cohorts", "events", "activity", "replay", "feature_flags", "experiments", "surveys", "sql", "instance"),
        *("data-management", "me", "preflight", "capture", "batch", "decide", "flags", "e", "i", "s", "array", "static"),
    )
)
_PROJECT = re.compile(r"/(?:project|projects|environments)/(\d{1,12})(?:/|$)")
_SCHEME = re.compile(r"^([a-z][a-z0-9+.\-]*)://", re.IGNORECASE)
_LONGEST = 2000


@dataclass(frozen=True, slots=True)
class Host:
    """One PostHog: `api_url` is `scheme://host[:port][/prefix]` without a slash at the end, `project_hint` a number the text named."""

    api_url: str
    region: Region
    project_hint: int | None = None

    @property
    def cloud(self) -> bool:
        """Whether PostHog runs it: this decides which request budgets apply."""
        return self.region != "self_hosted"

    @property
    def ingest_url(self) -> str:
        """Where events are written to; a self-hosted PostHog takes both on one host."""
        return INGEST.get(self.region, self.api_url)

    def url(self, path: str) -> str:
        """The absolute address of an API path such as `projects/1/query/`."""
        return f"{self.api_url}/api/{path.lstrip('/')}"

    def __str__(self) -> str:
        return self.api_url


def normalise_host(text: str, *, allow_insecure: bool = False) -> Host:
    """The PostHog that `text` means.

    `text` is a region (`eu`), a host, or any address of PostHog's pages, API or ingest endpoint. A host without a scheme is read as https,
    a loopback one as http. Plain http is refused for every other address unless the operator allows it; PostHog Cloud is always https.
    Raises BadInput with the code `posthog.host_invalid` or `posthog.host_insecure`.
    """
    text = text.strip().strip("\"'<>`").strip()
    if text.casefold() in ("us", "eu"):
        region: Region = "us" if text.casefold() == "us" else "eu"
        return Host(CLOUD[region], region)
    url = _parsed(text)
    name = url.host.rstrip(".").lower()
    hint = _PROJECT.search(url.path)
    project = int(hint[1]) if hint else None
    if name == "posthog.com" or name.endswith(".posthog.com"):
        region = _region(name)
        return Host(CLOUD[region], region, project)
    if url.scheme == "http" and not allow_insecure and not _loopback(name):
        raise _refuse(
            f"{url.scheme}://{name} would send your key unencrypted.",
            "Use the https address, or let the operator of Beton allow insecure hosts.",
            "posthog.host_insecure",
        )
    literal = f"[{name}]" if ":" in name else url.raw_host.decode("ascii").rstrip(".").lower()
    port = f":{url.port}" if url.port is not None else ""
    return Host(f"{url.scheme}://{literal}{port}{_prefix(url.path)}", "self_hosted", project)


def _parsed(text: str) -> httpx.URL:
    """`text` as an absolute address without query and fragment, or a refusal that says what is wrong."""
    if not text:
        raise _refuse("The PostHog host is empty.", "Enter us, eu, or the address of your own PostHog.")
    if re.match(r"(?i)ph[a-z]_", text):
        raise _refuse("This is a key, not a host.", "Enter us, eu, or the address of your own PostHog here, and the key where it is asked for.")
    if len(text) > _LONGEST or re.search(r"[\s\\\x00-\x1f\x7f]", text):
        raise _refuse(f"{text!r} is not an address.", "Enter one address without spaces, such as https://eu.posthog.com.")
    scheme = _SCHEME.match(text)
    bare = text.removeprefix("//")
    if scheme and scheme[1].lower() not in ("http", "https"):
        raise _refuse(f"Beton reads PostHog over https, not {scheme[1].lower()}.", "Enter the https address of your PostHog.")
    if not scheme:
        text = f"https://{bare}"
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise _refuse(f"{bare!r} is not an address: {error}.", "Enter an address such as https://eu.posthog.com.") from error
    if url.userinfo or "@" in url.netloc.decode("ascii", "replace"):
        raise _refuse("The address contains a user name or password.", "Remove everything before the @; Beton sends only the API key.")
    if url.port is not None and not 0 < url.port < 65536:
        raise _refuse(f"{url.port} is not a port.", "Enter an address such as https://eu.posthog.com.")
    name = url.host.rstrip(".").lower()
    if not _plausible(name, explicit=bool(scheme) or url.port is not None):
        raise _refuse(f"{name or text!r} is not the name of a host.", "Enter us, eu, or the full address of your own PostHog.")
    return url if scheme or not _loopback(name) else url.copy_with(scheme="http")


def _plausible(name: str, *, explicit: bool) -> bool:
    """A host that can be a PostHog. A single word is taken for a host (a container's name) only with a scheme or a port."""
    address = _address(name)
    if address is not None:
        # Link-local addresses are where clouds keep their machine credentials; nobody runs PostHog there.
        return not (address.is_link_local or address.is_multicast or address.is_unspecified)
    if not name or not all(0 < len(label) <= 63 for label in name.split(".")):
        return False
    if re.fullmatch(r"\d+|0x[0-9a-f]*", name.rsplit(".", 1)[-1]):  # a number in disguise: 127.1, 0x7f.1
        return False
    return "." in name or name == "localhost" or explicit


def _region(name: str) -> Region:
    if name in _REGION_OF:
        return _REGION_OF[name]
    raise _refuse(f"{name} is not one of PostHog's API hosts.", "Enter us or eu: the region is at the left of the address of your PostHog pages.")


def _prefix(path: str) -> str:
    kept: list[str] = []
    for segment in filter(None, path.split("/")):
        if segment in (".", "..") or "%" in segment:
            raise _refuse(f"The path {path!r} cannot be part of a PostHog address.", "Enter the address up to and without /api.")
        if segment.lower() in _POSTHOG_PATHS:
            break
        kept.append(segment)
    return "".join(f"/{segment}" for segment in kept)


def _loopback(name: str) -> bool:
    address = _address(name)
    return address.is_loopback if address is not None else name == "localhost" or name.endswith(".localhost")


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, ipaddress.IPv6Address) else address


def _refuse(message: str, fix: str, code: str = "posthog.host_invalid") -> BadInput:
    return BadInput(message, [Fault("host", message, nearest=("us", "eu"))], fix=fix, code=code)
