"""Assemble, run and stop the server. The only module that imports all the others."""

from __future__ import annotations

import gc
import json
import logging
import os
import resource
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NoReturn

import grpc

from itemlens_server import durable
from itemlens_server.access.guard import Guard, KeyGuard, OpenDoor
from itemlens_server.access.key_file import followed
from itemlens_server.address import Address
from itemlens_server.config import Settings, warn_of_unknown_variables
from itemlens_server.engine.repository import ModelRepository
from itemlens_server.engine.session import choose_device
from itemlens_server.engine.space_list import EXPORT_PREFIX, FIT_PREFIX
from itemlens_server.errors import FailedPrecondition
from itemlens_server.live_settings import LiveSettings
from itemlens_server.monitoring.monitor import Monitor
from itemlens_server.observer import Observer, Observers
from itemlens_server.rpc.adapter import RpcAdapter
from itemlens_server.rpc.server import GrpcServer
from itemlens_server.rpc.services import CATALOG, ITEM_LENS, register
from itemlens_server.rpc.streams import OpenStreams
from itemlens_server.services import Catalogue, ContentEncoder, UseCases
from itemlens_server.stop_signals import Stopped, StopSignals
from itemlens_server.storage.store import Store

log = logging.getLogger("itemlens")
SERVICES = (ITEM_LENS, CATALOG)
MAINTENANCE_SECONDS = 0.25
# The time for threads to end after the last call. No caller waits for their work.
END_SECONDS = 1.0
SWITCH_SECONDS = 0.0005


class Server:
    """A server. The constructor loads everything; `start` begins to serve."""

    def __init__(
        self,
        settings: Settings,
        tune: bool = False,
        observer: Observer | None = None,
        live: LiveSettings | None = None,
    ) -> None:
        """Load models and store. `tune`: measure again the fastest way to run the encoders on this machine.
        `observer` receives calls and batches. `live` follows the file of the settings.

        Raises:
            ItemlensError: something is missing or does not fit; the message says what to run.
        """
        self._settings = settings
        # Checks that fail at once come first, because loading the models takes seconds.
        Address.parse(settings.listen).check_free()
        guard = guard_of(settings)
        if (files := settings.certificate_files()) is not None:
            files.read()
        self._monitor = Monitor(settings)
        observer = Observers([*([observer] if observer else []), *self._monitor.observers])
        self.store = Store(
            settings.data,
            max_bytes=settings.max_store_bytes,
            cache_bytes=settings.store_cache_bytes // 2 // (settings.store_connections() - 1),
            writer_cache_bytes=settings.store_cache_bytes // 2,
        )
        try:
            self.models = ModelRepository(
                settings, choose_device(settings.provider), tune=tune, observer=observer
            )
            durable.remove_leftovers(settings.models, (FIT_PREFIX, EXPORT_PREFIX))
            default = self.models.load(settings.space)
            self._default_space = default.space_id
            self.encoder = ContentEncoder(settings)
            self.catalogue = Catalogue(self.store, self.models, self.encoder, settings, default.space_id)
            self.catalogue.load()
        except BaseException:
            self._monitor.close()
            self.store.close()
            raise
        self.use_cases = UseCases.over(self.catalogue, self.encoder, settings)
        self._monitor.watch(self.use_cases)
        self._pool = ThreadPoolExecutor(settings.rpc_threads, "rpc")
        # More computing threads than processors would only compete for the interpreter and the CPU caches.
        self._computing = ThreadPoolExecutor(settings.thread_count(), "compute")

        def add_services(server: grpc.aio.Server, streams: OpenStreams) -> None:
            adapter = RpcAdapter(self._pool, settings, streams, guard, observer)
            register(server, adapter, self.use_cases, self._pool, self._computing)

        self._grpc_server = GrpcServer(add_services, SERVICES, settings, guard)
        self._live = live
        self._stopping = threading.Event()
        self._maintenance = threading.Thread(target=self._maintain, name="maintenance", daemon=True)
        for name, encoder in default.encoders.items():
            if (plan := encoder.plan) is None:
                continue
            log.info(
                "channel %s runs %s on %s, %d x %d threads, batches of up to %d",
                name, encoder.precision, encoder.provider, plan.instances, plan.threads, plan.max_batch,
            )  # fmt: skip

    def start(self) -> int:
        """Start serving, and return the port.

        Raises:
            FailedPrecondition: the address is in use.
        """
        port = self._grpc_server.start()
        self._monitor.serving(lambda: self._grpc_server.responsive)
        self._maintenance.start()
        if self._live is not None:
            self._live.start()
        log.info("serving on port %d, default space %s", port, self._default_space)
        return port

    def stop(self) -> bool:
        """Report NOT_SERVING, after `lame_duck_seconds` refuse new calls, give running ones `drain_seconds` to finish,
        then close the store.

        Returns:
            Whether all threads have ended. The rest do work that no caller waits for, and end with the process.
        """
        self._stopping.set()
        if self._live is not None:
            self._live.close()
        self._monitor.stopping()
        self._grpc_server.stop(self._settings.lame_duck_seconds, self._settings.drain_seconds)
        ending = threading.Thread(target=self._end_threads, name="ending", daemon=True)
        ending.start()
        ending.join(END_SECONDS)
        self.store.finish_writes()
        self.catalogue.close()
        self._monitor.close()
        if ending.is_alive():
            log.warning("stopped; an unfinished graph build or batch is abandoned")
            return False
        self.store.close()
        log.info("stopped")
        return True

    def _end_threads(self) -> None:
        if self._maintenance.is_alive():
            self._maintenance.join()
        self._pool.shutdown(cancel_futures=True)
        self._computing.shutdown(cancel_futures=True)
        self.use_cases.recommender.live_recall.close()
        self.models.close()
        self.encoder.close()

    def _maintain(self) -> None:
        while not self._stopping.wait(MAINTENANCE_SECONDS):
            try:
                while self.catalogue.maintain() and not self._stopping.is_set():
                    pass
            except Exception:  # only derived state is missing; the next round tries again
                log.exception("maintenance failed")


def guard_of(settings: Settings) -> Guard:
    """Return who is let in by the settings, and say so in the log.

    Raises:
        FailedPrecondition: the keys cannot be read; or there are none, and other machines reach the address.
    """
    local, tls = Address.parse(settings.listen).is_local, settings.tls_certificate is not None
    if settings.key_file is not None:
        keys = followed(settings.key_file)
        log.info("%d keys in %s, %s", len(keys.now()), settings.key_file, "TLS" if tls else "no TLS")
        if not (tls or local):
            log.warning(
                "other machines reach %s, and their keys come in plain text: set `tls_certificate`, unless something "
                "else encrypts the connections", settings.listen,
            )  # fmt: skip
        return KeyGuard(keys)
    if local or settings.allow_unauthenticated:
        if not local:
            log.warning(
                "everybody who reaches %s may do everything (`allow_unauthenticated`)", settings.listen
            )
        return OpenDoor()
    raise FailedPrecondition(
        f"other machines reach {settings.listen}, and without keys they may do everything: give a file of keys "
        "(`itemlens keys create`, setting `key_file`), listen on 127.0.0.1, or set `allow_unauthenticated`"
    )


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        value = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            value["exception"] = self.formatException(record.exc_info)
        return json.dumps(value, ensure_ascii=False)


def configure_logging(form: str, level: str) -> None:
    """Log to standard error, one line per record."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        _JsonFormatter() if form == "json" else logging.Formatter("%(asctime)s %(levelname)-7s %(message)s")
    )
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def serve(
    settings: Settings, signals: StopSignals, tune: bool = False, live: LiveSettings | None = None
) -> None:
    """Run a server until SIGTERM or SIGINT. A second signal ends the drain. `tune`, `live`: see `Server`.

    If a thread still runs at the end, the process exits here.

    Raises:
        ItemlensError: the server cannot start.
    """
    configure_logging(settings.log, settings.log_level)
    warn_of_unknown_variables()
    _allow_open_files()
    # The longest wait of an encoder's thread for the interpreter after a batch. With Python's default of 5 ms, a
    # processor was idle for a tenth of the time while other threads tokenised.
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        server = signals.run(lambda: Server(settings, tune, live=live))
    except Stopped:
        log.info("stopped while starting")
        _exit(0)
    # The objects loaded by now stay for the life of the process, so the garbage collector can skip them.
    gc.collect()
    gc.freeze()
    server.start()
    signals.wait()
    log.info("draining; a second signal stops the server at once")
    try:
        if not signals.run(server.stop):
            _exit(0)
    except Stopped:
        log.warning("stopped before all calls were answered")
        _exit(1)


def _allow_open_files() -> None:
    """Raise the limit of open files to what this process may have: each connection is one."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # some systems refuse what they call the hard limit
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _exit(status: int) -> NoReturn:
    """End the process without waiting for any thread."""
    logging.shutdown()
    os._exit(status)
