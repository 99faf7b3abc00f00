"""The spaces of collections: those that callers name, those that were stored, and whether two fit together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from itemlens_server.engine.repository import ModelRepository, Space, TooManySpaces
from itemlens_server.errors import (
    FailedPrecondition,
    InvalidArgument,
    ItemlensError,
    NotFound,
    SpaceMismatch,
    quoted,
)
from itemlens_server.services.limits import check_reference
from itemlens_server.storage.records import CollectionRecord

log = logging.getLogger(__name__)


class Spaces:
    """The spaces of a model repository. default: id of the space of collections that are created without one."""

    def __init__(self, models: ModelRepository, default: str, used: Callable[[], Iterable[Space]]) -> None:
        """`used`: the spaces of the collections, which stay loaded."""
        self._models, self.default, self._used = models, default, used

    def named(self, name: str) -> Space:
        """The space with this id or name; the default space for an empty string.

        Details of the repository's errors, such as its folder and other spaces, go to the log only.

        Raises:
            NotFound: there is no such space.
            InvalidArgument: several spaces have this name.
            FailedPrecondition: the space cannot be loaded, or too many spaces without a collection are loaded.
        """
        check_reference(name, "space")
        try:
            return self._models.load(name or self.default, self._in_use)
        except TooManySpaces:
            raise
        except ItemlensError as error:
            log.warning("space %s was requested: %s", quoted(name), error)
            if isinstance(error, NotFound):
                raise NotFound(f"no space {quoted(name)}", "space", name, "space") from error
            if isinstance(error, InvalidArgument):
                raise InvalidArgument(
                    f"several spaces have the name {quoted(name)}; give an id", "space"
                ) from error
            raise FailedPrecondition(
                f"space {quoted(name)} cannot be loaded; the server's log says why", "space"
            ) from error

    def stored(self, record: CollectionRecord) -> Space:
        """The space that a collection was stored with.

        Raises:
            SpaceMismatch: it is not in the model repository.
        """
        try:
            return self._models.load(record.space_id)
        except NotFound as error:
            raise SpaceMismatch(
                f"collection {record.name!r} was stored with space {record.space_id}, which is not in the model "
                "repository: restore that space, or serve another --data folder and run `itemlens index` again"
            ) from error

    def has_encoders_of_default(self, space: Space) -> bool:
        """Whether a space has the encoders of the default space."""
        return space.same_encoders(self._models.load(self.default))

    def _in_use(self) -> list[Space]:
        return [self._models.load(self.default), *self._used()]


def check_same_space(collection: str, own: Space, space: Space) -> None:
    """Raise SpaceMismatch unless a collection's own space is this one, or one that was fitted from it.

    A fit moves the collection to its new space. The command that created the collection must still succeed after that.
    """
    if own.space_id == space.space_id:
        return
    if not own.same_encoders(space):
        raise SpaceMismatch(
            f"collection {collection!r} has space {own.space_id}, which has other encoders than {space.space_id}; "
            "use another name, or delete it first", "space",
        )  # fmt: skip
    if space.head.fitted or not own.head.fitted:
        raise SpaceMismatch(
            f"collection {collection!r} has space {own.space_id}, not {space.space_id}; move it with: "
            f"itemlens move {collection} {space.space_id}", "space",
        )  # fmt: skip
