"""What the server tells whoever watches it: calls and batches, as they happen."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Protocol

log = logging.getLogger(__name__)


class Observer(Protocol):
    """Is told of calls and batches, from several threads at once; the threads wait for it to return."""

    def call_started(self, method: str) -> None:
        """A call or stream of `method`, such as "/itemlens.v1.ItemLens/Encode", has come in."""

    def call_finished(
        self, method: str, code: str, seconds: float, request_bytes: int, response_bytes: int
    ) -> None:
        """It has ended. `code`: name of the canonical gRPC code; bytes: of all its requests and responses, which those
        that failed have none of."""

    def batch_run(
        self,
        encoder: str,
        inputs: int,
        tokens: int,
        padded_tokens: int,
        seconds: float,
        queued_seconds: float,
    ) -> None:
        """An encoder has run a batch. `encoder`: its kind and the beginning of its digest; tokens: without padding, and
        with what padding costs; queued_seconds: how long the inputs waited, added up."""


class NullObserver:
    """Passes over all."""

    def call_started(self, *_: Any, **__: Any) -> None:
        """Nothing."""

    def call_finished(self, *_: Any, **__: Any) -> None:
        """Nothing."""

    def batch_run(self, *_: Any, **__: Any) -> None:
        """Nothing."""


class GuardedObserver:
    """Tells an observer, and goes on where that raises; the first error is logged."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._raised = False

    def call_started(self, method: str) -> None:
        """See Observer."""
        self._tell(self._observer.call_started, method)

    def call_finished(
        self, method: str, code: str, seconds: float, request_bytes: int, response_bytes: int
    ) -> None:
        """See Observer."""
        self._tell(self._observer.call_finished, method, code, seconds, request_bytes, response_bytes)

    def batch_run(
        self,
        encoder: str,
        inputs: int,
        tokens: int,
        padded_tokens: int,
        seconds: float,
        queued_seconds: float,
    ) -> None:
        """See Observer."""
        self._tell(self._observer.batch_run, encoder, inputs, tokens, padded_tokens, seconds, queued_seconds)

    def _tell(self, what: Callable[..., None], *values: object) -> None:
        try:
            what(*values)
        except Exception:
            if not self._raised:
                self._raised = True
                log.exception("the observer raises; its next errors are not logged")
