"""Secrets at rest: AES-256-GCM, one text per secret, bound to the place it was written for.

A sealed text is `v1.<key id>.<base64(nonce ‖ ciphertext)>`. The place (workspace, table, row, field) is authenticated with it, so a ciphertext
copied to another row or column does not open there. Several keys may open; only the first seals. Nonces are random 96 bits: with one key, a
collision becomes likely only after some 2^32 seals, far beyond the signals that anybody could read.
"""

import base64
import binascii
import secrets
from collections.abc import Mapping
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from beton.errors import StoreError

FORMAT = "v1"
NONCE_BYTES = 12


class UnknownKey(StoreError):
    """The text was sealed with a key that is no longer configured."""

    code = "store.unknown_sealing_key"


class SealBroken(StoreError):
    """The text was altered, moved to another place, or is no sealed text."""

    code = "store.seal_broken"


class Place(NamedTuple):
    """Where a secret lives; part of what is authenticated."""

    workspace: str
    table: str
    row: str
    field: str

    def authenticated(self) -> bytes:
        return "\0".join((FORMAT, *self)).encode()


class Sealer:
    """Seals with the first key of the ring, opens with any."""

    def __init__(self, ring: Mapping[str, bytes]) -> None:
        if not ring:
            raise StoreError("Sealing needs at least one key.", code="store.no_sealing_key", fix="Set BETON_SECRET_KEY.")
        self._ciphers = {key_id: AESGCM(key) for key_id, key in ring.items()}
        self.active = next(iter(ring))

    def __repr__(self) -> str:
        return f"Sealer(active={self.active!r})"

    @property
    def has_former_keys(self) -> bool:
        """Whether anything may still be sealed with another key than the active one."""
        return len(self._ciphers) > 1

    def seal(self, secret: str, place: Place) -> str:
        """The sealed text of a secret for one place."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        ciphertext = self._ciphers[self.active].encrypt(nonce, secret.encode(), place.authenticated())
        return f"{prefix_of(self.active)}{base64.b64encode(nonce + ciphertext).decode()}"

    def open(self, sealed: str, place: Place) -> str:
        """The secret; `UnknownKey` or `SealBroken` otherwise, neither of which quotes the text."""
        key_id = sealed_with(sealed)
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise UnknownKey(
                f"A stored secret was sealed with key {key_id}, which is not configured.",
                fix="Add the former key to BETON_OLD_SECRET_KEYS, or enter the credential anew.",
            )
        try:
            raw = base64.b64decode(sealed.rpartition(".")[2], validate=True)
            return cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], place.authenticated()).decode()
        except (InvalidTag, binascii.Error, ValueError):
            raise _broken(place) from None

    def reseal(self, sealed: str, place: Place) -> str | None:
        """The text under the active key, or `None` when it already is: the whole of key rotation."""
        return None if sealed_with(sealed) == self.active else self.seal(self.open(sealed, place), place)


def prefix_of(key_id: str) -> str:
    """What every text sealed with a key begins with."""
    return f"{FORMAT}.{key_id}."


def sealed_with(sealed: str) -> str:
    """The id of the key that sealed a text."""
    parts = sealed.split(".")
    if len(parts) != 3 or parts[0] != FORMAT:
        raise SealBroken("A stored secret is not in the sealed form.", fix="Enter the credential anew.")
    return parts[1]


def _broken(place: Place) -> SealBroken:
    return SealBroken(
        f"The stored secret {place.table}.{place.field} of {place.row} does not open: it was altered or moved.",
        fix="Enter the credential anew; if many fail, restore the database from a backup.",
    )
