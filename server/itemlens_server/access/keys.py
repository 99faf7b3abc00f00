"""API keys: their form, and what is kept of them, which does not tell the secret.

A key is "itemlens_" + id (8 characters) + "_" + secret (43 characters, 256 random bits). Because a secret is random and
long, one SHA-256 protects it; a slow hash is for passwords.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from itemlens_server.access.quotas import Quota, Used
from itemlens_server.access.roles import Role

_FORM = re.compile(r"itemlens_([0-9a-z]{8})_([\w-]{43})", re.ASCII)
# What names of collections are made of, and what patterns have besides.
_COLLECTION = re.compile(r"[a-z0-9_*?\[\]!-]{1,100}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_FIELDS = {"id", "name", "sha256", "role", "collections", "quotas", "created", "expires", "revoked"}
_NO_DIGEST = "0" * 64
NAME_CHARACTERS = 100


@dataclass(frozen=True)
class Key:
    """What is kept of an API key.

    name:        of whoever has it, for people and logs
    digest:      SHA-256 of the whole key, in hexadecimal digits
    collections: names, or patterns such as "shop-*"; none: every collection
    """

    id: str
    name: str
    digest: str
    role: Role
    created: datetime
    collections: Sequence[str] = ()
    quotas: Mapping[Used, Quota] = field(default_factory=dict)
    expires: datetime | None = None
    revoked: datetime | None = None

    def covers(self, collection: str) -> bool:
        """Whether the key is for a collection."""
        return not self.collections or any(fnmatchcase(collection, name) for name in self.collections)

    def why_not(self, now: datetime) -> str:
        """Why the key lets nobody in; "" if it does."""
        if self.revoked is not None:
            return f"was revoked at {_text(self.revoked)}"
        if self.expires is not None and self.expires <= now:
            return f"expired at {_text(self.expires)}"
        return ""

    def as_json(self) -> dict[str, Any]:
        """The key as `read` reads it."""
        return {
            "id": self.id,
            "name": self.name,
            "sha256": self.digest,
            "role": self.role.label,
            "collections": list(self.collections) or None,
            "quotas": {str(used): str(quota) for used, quota in self.quotas.items()},
            "created": _text(self.created),
            "expires": self.expires and _text(self.expires),
            "revoked": self.revoked and _text(self.revoked),
        }

    @staticmethod
    def read(value: Any) -> Key:
        """Read a key from JSON.

        Raises:
            ValueError: it is none; the message says why.
        """
        if not isinstance(value, dict):
            raise ValueError("it is not an object")
        if unknown := sorted(set(map(str, value)) - _FIELDS):
            raise ValueError(f"it has the unknown field {unknown[0]!r:.50}")
        for name in ("id", "name", "sha256", "role", "created"):
            if not isinstance(value.get(name), str) or not value[name]:
                raise ValueError(f"it has no text {name!r}")
        if not _DIGEST.fullmatch(value["sha256"]):
            raise ValueError("its sha256 is not 64 hexadecimal digits")
        collections, quotas = value.get("collections"), value.get("quotas")
        if collections is not None and (
            not isinstance(collections, list)
            or not collections
            or not all(isinstance(c, str) and _COLLECTION.fullmatch(c) for c in collections)
        ):
            raise ValueError("its collections are not a list of names or patterns; null stands for all")
        if quotas is not None and not isinstance(quotas, dict):
            raise ValueError("its quotas are not an object")
        expires, revoked = value.get("expires"), value.get("revoked")
        return Key(
            value["id"], value["name"], value["sha256"], Role.of(value["role"]), _time(value["created"]),
            tuple(collections or ()), read_quotas({str(k): str(v) for k, v in (quotas or {}).items()}),
            None if expires is None else _time(expires), None if revoked is None else _time(revoked),
        )  # fmt: skip


def new_key(
    name: str,
    role: Role,
    collections: Sequence[str] = (),
    quotas: Mapping[Used, Quota] | None = None,
    expires: datetime | None = None,
) -> tuple[str, Key]:
    """Make a key. Return it, which is shown once, and what is kept of it."""
    number = secrets.token_hex(4)
    text = f"itemlens_{number}_{secrets.token_urlsafe(32)}"
    created = datetime.now(UTC).replace(microsecond=0)
    return text, Key(number, name, _digest(text), role, created, tuple(collections), quotas or {}, expires)


def find(keys: Mapping[str, Key], text: str) -> Key | None:
    """Return which of the keys, by id, a caller has; None for none. What it takes tells nothing of a secret."""
    parts = _FORM.fullmatch(text)
    key = keys.get(parts[1]) if parts else None
    same = hmac.compare_digest(_digest(text), key.digest if key else _NO_DIGEST)
    return key if same else None


def read_quotas(texts: Mapping[str, str]) -> dict[Used, Quota]:
    """Parse quotas by what they bound.

    Raises:
        ValueError: one is wrong; the message says what to write.
    """
    known = [str(used) for used in Used]
    if unknown := [used for used in texts if used not in known]:
        raise ValueError(f"there is no quota of {unknown[0]!r:.50}; give {', '.join(known)}")
    return {Used(used): Quota.of(text) for used, text in texts.items()}


def check_collection(pattern: str) -> str:
    """Return a collection's name, or a pattern, after a check.

    Raises:
        ValueError: no collection can have it.
    """
    if not _COLLECTION.fullmatch(pattern):
        raise ValueError(f"{pattern!r:.100} is neither the name of a collection nor a pattern such as shop-*")
    return pattern


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _time(text: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise ValueError(f"{text!r:.50} is not a time; write one such as 2026-01-31T12:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
