"""Who a caller is, and what they may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

from itemlens_server.access.keys import Key, find
from itemlens_server.access.quotas import Meter, Meters, Used
from itemlens_server.access.roles import Role
from itemlens_server.errors import PermissionDenied, QuotaExceeded, Unauthenticated, quoted
from itemlens_server.followed import Followed

HOW = 'send metadata "authorization: Bearer KEY", with a key from `itemlens keys create`'
EVERYTHING = "every collection"


class Caller(Protocol):
    """Who makes a call."""

    @property
    def name(self) -> str:
        """Whose fair share of the encoders the call uses, and whose name is in logs."""

    def check(self, role: Role) -> None:
        """Check that the caller may make calls that need a role, and has quota left.

        Raises:
            Unauthenticated: the caller may make no calls any more.
            PermissionDenied: the caller's role is not enough.
            QuotaExceeded: nothing is left.
        """

    def check_collection(self, name: str | None) -> None:
        """Check a collection that a call names. None: a call for every collection.

        Raises:
            PermissionDenied: it is not the caller's.
        """

    def sees(self, collection: str) -> bool:
        """Whether lists show a collection to the caller."""

    def spend(self, used: Used, amount: float) -> None:
        """Take what a call uses from the caller's quotas."""


class Guard(Protocol):
    """Lets callers in."""

    def admit(self, authorization: str, claim: str) -> Caller:
        """Return who makes a call. authorization: what the caller sent as such. claim: whom the caller says to be, or
        the connection.

        Raises:
            Unauthenticated: nobody is let in so; the message says what is missing.
        """


@dataclass(frozen=True)
class Anybody:
    """A caller of a server without keys, who may do all."""

    name: str

    def check(self, role: Role) -> None:
        """See Caller."""

    def check_collection(self, name: str | None) -> None:
        """See Caller."""

    def sees(self, collection: str) -> bool:
        """See Caller."""
        return True

    def spend(self, used: Used, amount: float) -> None:
        """See Caller."""


class OpenDoor:
    """Lets everybody in."""

    def admit(self, authorization: str, claim: str) -> Caller:
        """See Guard."""
        return Anybody(claim)


@dataclass
class KeyHolder:
    """A caller with a key. On a stream, the key may change between two messages."""

    key: Key
    keys: Followed[Mapping[str, Key]]
    meters: Meters

    @property
    def name(self) -> str:
        """See Caller."""
        return f"{self.key.name} ({self.key.id})"

    def check(self, role: Role) -> None:
        """See Caller."""
        key = self.keys.now().get(self.key.id)
        if key is None or key.digest != self.key.digest:
            raise Unauthenticated(f"the key {self.key.id} is gone; {HOW}")
        _check_valid(key)
        self.key = key
        if key.role < role:
            raise PermissionDenied(
                f"the call needs the role {role.label}; the key {self.name} has {key.role.label}"
            )
        if (short := self._meter.wait()) is not None:
            used, seconds = short
            raise QuotaExceeded(
                f"the key {self.name} has used its quota of {key.quotas[used]} {used}", seconds
            )

    def check_collection(self, name: str | None) -> None:
        """See Caller."""
        if self.key.collections and (name is None or not self.sees(name)):
            what = EVERYTHING if name is None else f"collection {quoted(name)}"
            raise PermissionDenied(
                f"the key {self.name} is not for {what}, but for {', '.join(map(quoted, self.key.collections[:5]))}"
            )

    def sees(self, collection: str) -> bool:
        """See Caller."""
        return self.key.covers(collection)

    def spend(self, used: Used, amount: float) -> None:
        """See Caller."""
        self._meter.spend(used, amount)

    @property
    def _meter(self) -> Meter:
        return self.meters.of(self.key.id, self.key.quotas)


class KeyGuard:
    """Lets in who has a key of a file."""

    def __init__(self, keys: Followed[Mapping[str, Key]]) -> None:
        """keys: by their ids, as they are now"""
        self._keys = keys
        self._meters = Meters()

    def admit(self, authorization: str, claim: str) -> Caller:
        """See Guard."""
        kind, _, text = authorization.partition(" ")
        if not authorization:
            raise Unauthenticated(f"the call has no key; {HOW}")
        if kind.lower() != "bearer" or not text:
            raise Unauthenticated(f"the authorization is not of the kind Bearer; {HOW}")
        key = find(self._keys.now(), text.strip())
        if key is None:
            raise Unauthenticated(f"there is no such key; {HOW}")
        _check_valid(key)
        return KeyHolder(key, self._keys, self._meters)


def _check_valid(key: Key) -> None:
    if reason := key.why_not(datetime.now(UTC)):
        raise Unauthenticated(f"the key {key.id} {reason}; {HOW}")
