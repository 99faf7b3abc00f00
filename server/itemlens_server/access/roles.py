"""Roles, each of which may do what the ones before it may."""

from __future__ import annotations

from enum import IntEnum


class Role(IntEnum):
    """What a caller may do. A larger one includes the smaller ones."""

    READ = 1
    """Encode, fuse, recommend, explain; read items, events and settings."""
    WRITE = 2
    """Write and delete items, events and users."""
    ADMIN = 3
    """Create, change and delete collections."""

    @property
    def label(self) -> str:
        """As it is written in files and messages."""
        return self.name.lower()

    @staticmethod
    def of(label: str) -> Role:
        """The role of a label.

        Raises:
            ValueError: there is no such role; the message names all.
        """
        for role in Role:
            if role.label == label:
                return role
        raise ValueError(f"there is no role {label!r}; give {', '.join(role.label for role in Role)}")
