"""What watches one server, by its settings: metrics with their HTTP port, and the call log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from itemlens_server.address import Address
from itemlens_server.config import Settings
from itemlens_server.errors import FailedPrecondition
from itemlens_server.monitoring.call_log import CallLog
from itemlens_server.monitoring.endpoint import Endpoint
from itemlens_server.monitoring.metrics import Metrics
from itemlens_server.monitoring.state import StateCollector
from itemlens_server.observer import Observer
from itemlens_server.services import UseCases

if TYPE_CHECKING:
    from itemlens_server.monitoring.tracing import Tracing

log = logging.getLogger(__name__)

NO_CALL_LOG = ("", "none")


class Monitor:
    """The observers of a server, and its HTTP port, which is there from the beginning: it tells that models load."""

    def __init__(self, settings: Settings) -> None:
        """Open what the settings ask for.

        Raises:
            FailedPrecondition: an address is in use, or a file cannot be written.
        """
        self._ready = False
        self._responsive: Callable[[], bool] = lambda: True
        self._metrics: Metrics | None = None
        self._endpoint: Endpoint | None = None
        self._call_log: CallLog | None = None
        if settings.call_log not in NO_CALL_LOG:
            self._call_log = CallLog(settings)
        self._tracing = _tracing(settings)
        if settings.monitoring:
            self._metrics = Metrics()
            self._endpoint = Endpoint(
                Address.parse(settings.monitoring),
                self._metrics.registry,
                live=lambda: self._responsive(),
                ready=lambda: self._ready and self._responsive(),
            )
            self._metrics.start()
            self._endpoint.start()
            log.info("monitoring on port %d: /metrics, /live, /ready", self._endpoint.port)

    @property
    def observers(self) -> Sequence[Observer]:
        """What is to receive calls and batches."""
        return [
            observer for observer in (self._metrics, self._call_log, self._tracing) if observer is not None
        ]

    def watch(self, use_cases: UseCases) -> None:
        """Tell the state of these, too."""
        if self._metrics is not None:
            self._metrics.registry.register(StateCollector(use_cases))

    def serving(self, responsive: Callable[[], bool]) -> None:
        """The server serves. responsive: whether its event loop turns."""
        self._responsive, self._ready = responsive, True

    def stopping(self) -> None:
        """No more calls should come."""
        self._ready = False

    def close(self) -> None:
        """Write what waits, and close the port."""
        if self._endpoint is not None:
            self._endpoint.close()
        if self._metrics is not None:
            self._metrics.close()
        if self._call_log is not None:
            self._call_log.close()
        if self._tracing is not None:
            self._tracing.close()


def _tracing(settings: Settings) -> Tracing | None:
    """Return what sends traces, if they are wanted.

    Raises:
        FailedPrecondition: the packages for it are not installed.
    """
    if not settings.otlp_endpoint:
        return None
    try:
        from itemlens_server.monitoring.tracing import Tracing
    except ModuleNotFoundError as error:
        raise FailedPrecondition(
            f"otlp_endpoint needs {error.name}: pip install 'itemlens-server[tracing]'"
        ) from error
    return Tracing.to(settings.otlp_endpoint, settings.trace_share)
