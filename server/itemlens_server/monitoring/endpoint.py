"""The HTTP port for machines that watch: /metrics, /live and /ready.

It has its own threads, so that it answers while all others are busy, and needs no key: it tells no content. Give it an
address that only those reach who should.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET6, socket
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from itemlens_server.address import Address
from itemlens_server.errors import FailedPrecondition

log = logging.getLogger(__name__)

# A connection that says nothing for so long ends, and so many are served at a time: nobody can use up the threads.
IDLE_SECONDS = 10.0
MOST_CONNECTIONS = 32


class Endpoint:
    """Serves HTTP in daemon threads.

    live:  whether the server can answer calls at all; if not, it should be started again
    ready: whether calls should be sent to it
    """

    def __init__(
        self,
        address: Address,
        registry: CollectorRegistry,
        live: Callable[[], bool],
        ready: Callable[[], bool],
    ) -> None:
        """Bind the address.

        Raises:
            FailedPrecondition: it is in use.
        """
        pages: dict[str, Callable[[], tuple[int, str, bytes]]] = {
            "/metrics": lambda: (200, CONTENT_TYPE_LATEST, generate_latest(registry)),
            "/live": lambda: _state(live(), "live"),
            "/ready": lambda: _state(ready(), "ready"),
        }
        host = address.host.strip("[]")
        try:
            self._server = _Server(host, address.port, pages)
        except OSError as error:
            raise FailedPrecondition(
                f"cannot listen on {address.text} for metrics: {error.strerror}; change the setting `monitoring`"
            ) from error
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="monitoring", daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()

    def close(self) -> None:
        """End."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()


def _state(good: bool, name: str) -> tuple[int, str, bytes]:
    text = name if good else f"not {name}"
    return 200 if good else 503, "text/plain; charset=utf-8", f"{text}\n".encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, host: str, port: int, pages: dict[str, Callable[[], tuple[int, str, bytes]]]) -> None:
        self.pages = pages
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)
        if ":" in host:
            self.address_family = AF_INET6
        super().__init__((host, port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own, or refuse it."""
        if not self._room.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:
        """Serve a connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller who is gone, or sends what is not HTTP, is not worth a line."""
        log.debug("monitoring: a connection ended with an error", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    timeout = IDLE_SECONDS
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        """Answer with a page."""
        page = self.server.pages.get(self.path.partition("?")[0])
        try:
            status, kind, body = (
                page() if page else (404, "text/plain", b"/metrics, /live and /ready are here\n")
            )
        except Exception:
            log.exception("monitoring: %s failed", self.path[:50])
            status, kind, body = 500, "text/plain", b"it failed; see the server's log\n"
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def version_string(self) -> str:
        """Tell nobody the version of Python."""
        return "itemlens"

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: probes come every few seconds."""
