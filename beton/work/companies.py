"""Companies by their domains: the registrable one behind an address or a link, and those that are no company's."""

from __future__ import annotations

import re
from functools import cache

from publicsuffixlist import PublicSuffixList

from beton.store.reach import Entry

FREE_MAIL = frozenset({
    "10minutemail.com", "126.com", "139.com", "163.com", "189.cn", "aim.com", "aliyun.com", "aol.com", "arcor.de", "att.net", "bellsouth.net",
    "bigpond.com", "bluewin.ch", "bol.com.br", "btinternet.com", "charter.net", "comcast.net", "cox.net", "dispostable.com", "duck.com",
    "earthlink.net", "email.com", "email.cz", "fakeinbox.com", "fastmail.com", "fastmail.fm", "foxmail.com", "free.fr", "freenet.de",
    "frontier.com", "getnada.com", "gmail.com", "gmx.at", "gmx.ch", "gmx.com", "gmx.de", "gmx.net", "googlemail.com", "guerrillamail.com",
    "hey.com", "hotmail.be", "hotmail.ca", "hotmail.co.uk", "hotmail.com", "hotmail.de", "hotmail.es", "hotmail.fr", "hotmail.it", "hotmail.nl",
    "hushmail.com", "icloud.com", "inbox.com", "inbox.lv", "interia.pl", "juno.com", "kabelmail.de", "kpnmail.nl", "laposte.net", "libero.it",
    "list.ru", "live.at", "live.be", "live.ca", "live.co.uk", "live.com", "live.de", "live.fr", "live.it", "live.nl", "mac.com", "mail.com",
    "mail.de", "mail.ru", "mailbox.org", "maildrop.cc", "mailfence.com", "mailinator.com", "me.com", "msn.com", "naver.com", "o2.pl",
    "online.de", "online.no", "optonline.net", "orange.fr", "outlook.at", "outlook.be", "outlook.co", "outlook.com", "outlook.de", "outlook.es",
    "outlook.fr", "outlook.it", "pm.me", "posteo.de", "posteo.net", "privaterelay.appleid.com", "proton.me", "protonmail.ch", "protonmail.com",
    "qq.com", "rediffmail.com", "rocketmail.com", "rogers.com", "runbox.com", "sapo.pt", "sbcglobal.net", "seznam.cz", "sfr.fr",
    "sharklasers.com", "shaw.ca", "sina.com", "sky.com", "skynet.be", "swissonline.ch", "t-online.de", "talktalk.net", "telenet.be",
    "telia.com", "telus.net", "temp-mail.org", "tempmail.com", "terra.com.br", "throwawaymail.com", "tiscali.it", "trashmail.com", "tuta.com",
    "tuta.io", "tutanota.com", "tutanota.de", "uol.com.br", "verizon.net", "virgilio.it", "virginmedia.com", "vodafone.de", "wanadoo.fr",
    "web.de", "windowslive.com", "wp.pl", "xs4all.nl", "ya.ru", "yahoo.ca", "yahoo.co.in", "yahoo.co.jp", "yahoo.co.uk", "yahoo.com",
    "yahoo.com.au", "yahoo.com.br", "yahoo.de", "yahoo.es", "yahoo.fr", "yahoo.in", "yahoo.it", "yandex.com", "yandex.ru", "yeah.net",
    "ymail.com", "yopmail.com", "ziggo.nl", "zoho.com", "zohomail.com",
})  # fmt: skip
"""Where anybody has a mailbox, for good or for ten minutes: an address there says nothing of a company."""

_NAME = re.compile(r"(?=.{4,253}$)([a-z0-9_](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9][a-z0-9-]{0,61}[a-z0-9]")
_EMAIL = re.compile(r"[^@\s<>,;\"']{1,64}@[^@\s<>,;\"']{3,253}")


@cache
def _suffixes() -> PublicSuffixList:
    return PublicSuffixList(accept_unknown=False)


def registrable(text: str) -> str | None:
    """The domain that somebody has registered, in small ASCII letters, behind a host name or a link: `www.acme.co.uk` is `acme.co.uk`'s."""
    name = re.sub(r"^[a-z][a-z0-9+.-]*://", "", text.strip().lower()).partition("/")[0].partition("?")[0].rpartition("@")[2].partition(":")[0]
    try:
        plain = name.rstrip(".").encode("idna").decode("ascii")
    except UnicodeError:  # no host name at all: a label is empty, or too long
        return None
    return _suffixes().privatesuffix(plain) if _NAME.fullmatch(plain) else None


def domain_of(email: str | None) -> str | None:
    """The company's domain behind an e-mail address; `None` where the address is none, or of a provider for everybody."""
    address = (email or "").strip()
    if not _EMAIL.fullmatch(address):
        return None
    domain = registrable(address.rpartition("@")[2])
    whole = address.rpartition("@")[2].lower()
    return None if domain is None or domain in FREE_MAIL or whole in FREE_MAIL else domain


def entry(text: str) -> Entry | None:
    """What a line of a list names: an e-mail address, a domain or a link to it, else an id of PostHog's. `None` for an empty line."""
    plain = text.strip().strip('"').strip()
    if not plain:
        return None
    if _EMAIL.fullmatch(plain):
        return Entry("email", plain.lower())
    domain = None if " " in plain else registrable(plain)
    return Entry("domain", domain) if domain else Entry("id", plain)
