"""Passwords under Argon2id (RFC 9106, its second recommended choice: 64 MiB, three passes)."""

from functools import cached_property
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from beton.errors import BadInput, Fault

SHORTEST = 12
LONGEST = 256
AT_ONCE = 2
"""Passwords hashed at a time: each takes 64 MiB, and strangers can ask for it."""

_COMMON = frozenset({"password", "passwort", "123456789012", "qwertyuiop", "letmein", "betonbeton", "changeme", "administrator"})


class Passwords:
    """Makes and checks hashes. `quick` is for tests of what surrounds them."""

    def __init__(self, *, quick: bool = False) -> None:
        self._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1) if quick else PasswordHasher(3, 65536, 4)
        self._free = BoundedSemaphore(AT_ONCE)

    def hash(self, password: str) -> str:
        """What is kept of a password."""
        with self._free:
            return self._hasher.hash(password)

    def verify(self, kept: str | None, password: str) -> bool:
        """Whether it is the password. As much work where none is kept, so that the time does not tell who has an account."""
        with self._free:
            try:
                return self._hasher.verify(kept or self._nobodys, password[:LONGEST]) and kept is not None
            except (VerificationError, InvalidHashError):
                return False

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash("the password of nobody")


def check_new(password: str, *, email: str) -> str:
    """The password as it will be kept; `BadInput` when it is short, long, or the first that a stranger would try."""
    plain = password.strip().casefold()
    known = plain in _COMMON or len(set(plain)) < 5 or plain == email.casefold() or plain == email.casefold().partition("@")[0]
    fault = (
        f"is shorter than {SHORTEST} characters" if len(password) < SHORTEST
        else f"is longer than {LONGEST} characters" if len(password) > LONGEST
        else "is one of the first that a stranger would try" if known
        else None
    )  # fmt: skip
    if fault:
        raise BadInput(f"The password {fault}.", [Fault("password", fault)], code="input.password", fix="Choose a longer one, such as four words.")
    return password
