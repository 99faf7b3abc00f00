"""All settings of the server. Each can be set in a YAML file, in the environment (`ITEMLENS_` + name) or by a flag."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import Field, ValidationError, ValidationInfo, field_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from itemlens_server.access.certificates import CertificateFiles
from itemlens_server.address import Address
from itemlens_server.errors import InvalidArgument
from itemlens_server.hardware import memory, processor_count
from itemlens_server.settings_file import SettingsFile, did_you_mean

log = logging.getLogger("itemlens")

MIB = 1 << 20
LEAST_PICTURE_MEMORY, MOST_PICTURE_MEMORY = 32 * MIB, 1024 * MIB
PREFIX = "ITEMLENS_"

# What the commands that call a server read (docs/security.md). `itemlens serve` does not.
CLIENT_PREFIX = "ITEMLENS_CLIENT_"

# Settings that count while the server runs, when the file of settings changes (see `LiveSettings`). Whoever uses them
# reads them each time.
LIVE = (
    "max_calls", "max_inputs", "max_items", "max_events", "max_history", "max_candidates", "max_k", "max_text_bytes",
    "max_picture_bytes", "max_picture_pixels", "max_item_pictures", "min_reason_users", "live_recall_share",
    "live_recall_alarm", "call_log_slow_seconds", "call_log_share", "lame_duck_seconds", "drain_seconds", "log_level",
)  # fmt: skip

# The file that `Settings.read` received, for the settings source that reads it.
_file: ContextVar[SettingsFile | None] = ContextVar("file", default=None)

# Variables that Kubernetes sets for a service named itemlens, such as ITEMLENS_PORT_50051_TCP_ADDR.
_KUBERNETES = re.compile(
    r"(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)


class Settings(BaseSettings):
    """The server's settings. Flags override the environment, and the environment overrides the file."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="forbid", frozen=True, coerce_numbers_to_str=True
    )

    listen: str = Field("127.0.0.1:50051", description="address to serve on; port 0 takes a free one")
    key_file: Path | None = Field(
        None, description="file of API keys (`itemlens keys create`); it is read again when it changes. Without keys "
        "everybody who reaches the server may do everything",
    )  # fmt: skip
    allow_unauthenticated: bool = Field(
        False, description="without `key_file`, listen on addresses that other machines reach, too"
    )
    tls_certificate: Path | None = Field(
        None, description="PEM file of the server's certificate and those between it and its authority; with it the "
        "server speaks TLS only. It is read again when it changes, as are the next two",
    )  # fmt: skip
    tls_private_key: Path | None = Field(
        None, description="PEM file of the certificate's private key, without a password"
    )
    tls_client_ca: Path | None = Field(
        None, description="PEM file of authorities; callers must have a certificate of one of them"
    )
    models: Path = Field(Path("models"), description="the model repository: a folder of spaces")
    data: Path = Field(
        Path("data"), description="the folder of the store and its indexes; one server at a time"
    )
    space: str = Field(
        "",
        description="id or name of the default space, which new collections use; default: the last exported space, "
        "which a fit does not change",
    )
    provider: Literal["auto", "cpu", "cuda"] = Field(
        "auto",
        description="ONNX Runtime provider: auto, cpu or cuda; with cuda, the server stops if CUDA does not load",
    )
    precision: Literal["auto", "fp32", "fp16", "int8"] = Field(
        "auto",
        description="ONNX graph to run: fp32, fp16, int8 or auto, which is fp16 on CUDA, else fp32; an encoder without "
        "it runs in fp32",
    )
    threads: int = Field(
        0,
        ge=0,
        description="inference threads; 0: one per processor that the affinity and the cgroup's quota allow",
    )
    low_latency_sessions: bool = Field(
        True,
        description="give each encoder a second session, with all threads, for a single input: half the latency, but "
        "the weights are in memory twice",
    )
    rpc_threads: int = Field(
        16,
        ge=2,
        description="threads for calls that compute or wait for the store; bulk calls use at most half",
    )
    max_calls: int = Field(
        4096, gt=0, description="open calls, without streams; further calls get RESOURCE_EXHAUSTED"
    )
    max_streams: int = Field(
        1024,
        gt=0,
        description="open streams; a further one ends the longest idle stream of the caller with the most",
    )
    max_streams_per_connection: int = Field(
        1000, gt=0, description="open calls and streams on one connection; the client's gRPC queues further ones",
    )  # fmt: skip
    stream_idle_seconds: float = Field(
        3600, gt=0, description="a stream ends after this time if its caller sends nothing or does not read"
    )
    max_idle_spaces: int = Field(
        4,
        ge=0,
        description="spaces with their own encoders that stay loaded after a call named them, besides the default "
        "space and those of collections; each takes the memory of its models",
    )
    gpu_memory_bytes: int = Field(
        8 << 30, gt=0, description="upper bound of ONNX Runtime's CUDA arena, for each session"
    )

    max_inputs: int = Field(
        256, gt=0, description="inputs, items or explanations in one Encode, Fuse or Explain call"
    )
    max_items: int = Field(1000, gt=0, description="items in one upsert, update, get or delete call")
    max_events: int = Field(10_000, gt=0, description="events in one call")
    max_history: int = Field(
        10_000, gt=0, description="past items in one call; the newest 1,000 different ones count"
    )
    max_candidates: int = Field(1000, gt=0, description="candidates given in one call")
    max_k: int = Field(1000, gt=0, description="recommendations in one call")
    max_text_bytes: int = Field(256 << 10, gt=0, description="UTF-8 bytes of one text")
    max_picture_bytes: int = Field(10 * MIB, gt=0, description="bytes of one encoded picture")
    max_picture_pixels: int = Field(
        40_000_000, gt=0, description="pixels of one picture, read from its header"
    )
    picture_memory_bytes: int = Field(
        0, ge=0, description="memory for pictures that are decoded at the same time: 1 to 24 bytes per "
        "pixel and about 10 MiB each; further pictures wait, and a picture that needs more alone is refused; 0: a "
        "quarter of the memory that the cgroup or the machine allows, 32 MiB to 1 GiB",
    )  # fmt: skip
    max_item_pictures: int = Field(128, gt=0, description="pictures of one item in one channel")
    max_message_bytes: int = Field(64 * MIB, gt=0, description="bytes of one gRPC message")
    max_queue_tokens: int = Field(
        0, ge=0, description="queued tokens (or pictures) for an encoder, beyond which calls get RESOURCE_EXHAUSTED; "
        "0: as many as it runs in `max_queue_seconds`",
    )  # fmt: skip
    max_queue_seconds: float = Field(4.0, gt=0, description="bound of the queue, if `max_queue_tokens` is 0")
    max_wait_seconds: float = Field(
        0.3, gt=0, description="a call that would wait longer for an encoder gets RESOURCE_EXHAUSTED, if more inputs "
        "are before it than `min_admitted_inputs` and `large_call_patience` allow",
    )  # fmt: skip
    min_admitted_inputs: int = Field(
        63, ge=0, description="inputs behind which any call may wait, so that 64 callers with one input each are all "
        "served on a slow machine, too",
    )  # fmt: skip
    large_call_patience: int = Field(
        7, ge=0, description="a call may wait behind this many times its own number of inputs, so that 8 callers with "
        "large calls are all served",
    )  # fmt: skip
    embedding_cache_bytes: int = Field(
        64 * MIB, ge=0, description="memory for vectors of recently encoded contents; 0: none"
    )
    store_cache_bytes: int = Field(
        64 * MIB, gt=0, description="memory for pages of the store's file: half of it for the connection that writes, "
        "half for all others together, one for each of `rpc_threads` and `threads`, and two more",
    )  # fmt: skip
    max_store_bytes: int = Field(
        0, ge=0, description="size limit of the store's file; 0: only the disk limits it"
    )
    recommendation_memory_bytes: int = Field(
        64 * MIB, ge=0, description="memory for recommendations that are kept for Explain, 5 to 20 KB for each list of "
        "10 items; the oldest are dropped; 0: none",
    )  # fmt: skip
    answers_bytes: int = Field(
        256 * MIB, ge=0, description="disk space for answers that are remembered for `itemlens report`, about 0.5 KB "
        "for each list of 10 items; the oldest are deleted; 0: none, and kept ones are deleted",
    )  # fmt: skip
    answers_days: float = Field(
        90, ge=0, description="days after which a remembered answer is deleted; 0: as `answers_bytes` 0"
    )

    user_memory_bytes: int = Field(
        64 * MIB,
        ge=0,
        description="memory for summed-up histories of the latest users, up to 0.3 MB each; 0: none",
    )
    matrix_items: int = Field(
        12_500,
        ge=0,
        description="most items with events for which pairs of items are counted in matrices, of 6 bytes for each pair "
        "(0.9 GB for 12,500); with more, pairs are counted from the events in memory whenever tables are computed",
    )
    min_reason_users: int = Field(
        20,
        ge=1,
        description="a reason says what other users took only if at least this many took both items, and says how "
        "many; those who only looked are among them if views have a weight; 1: always",
    )
    weight_view: float = Field(0.2, ge=0, le=1000, description="weight of a VIEW")
    weight_click: float = Field(0.5, ge=0, le=1000, description="weight of a CLICK")
    weight_cart: float = Field(0.8, ge=0, le=1000, description="weight of a CART")
    weight_purchase: float = Field(1.0, ge=0, le=1000, description="weight of a PURCHASE")
    candidates_per_channel: int = Field(
        400,
        gt=0,
        description="candidates from an HNSW index, half of it for past items; more: better recall, slower",
    )
    live_recall_share: float = Field(
        0.001, ge=0, le=1, description="share of the lists that are made again by an exact search, in the background, "
        "to tell the recall by kind of question in /metrics; 0: none",
    )  # fmt: skip
    live_recall_alarm: float = Field(
        0.9,
        ge=0,
        le=1,
        description="the log warns if the live recall of 50 questions of a kind is below this",
    )
    segment_rows: int = Field(
        2048, gt=0, description="new items that are searched exactly until an HNSW index is built from them"
    )
    monitoring: str = Field(
        "", description="address for HTTP with /metrics (Prometheus), /live and /ready, such as 0.0.0.0:9464; it needs "
        "no key and shows no content; default: none",
    )  # fmt: skip
    call_log: str = Field(
        "stderr", description="where JSON lines on calls go: stderr, a file, or nowhere (none). Calls that failed or "
        "were slow are always there, at most 200 lines a second",
    )  # fmt: skip
    call_log_slow_seconds: float = Field(1.0, ge=0, description="calls that take longer are slow")
    call_log_share: float = Field(
        0.0, ge=0, le=1, description="share of the other calls that are in the call log, by chance"
    )
    otlp_endpoint: str = Field(
        "",
        description="OTLP collector that gets traces by gRPC, such as http://localhost:4317; default: none",
    )
    trace_share: float = Field(
        0.01,
        ge=0,
        le=1,
        description="share of the calls that are traced, where the caller does not decide it",
    )
    lame_duck_seconds: float = Field(
        0, ge=0, description="time after SIGTERM in which health says NOT_SERVING and calls are still taken, so that "
        "load balancers send no more before the port closes",
    )  # fmt: skip
    drain_seconds: float = Field(30, ge=0, description="time for running calls to finish after SIGTERM")
    log: Literal["text", "json"] = Field("text", description="form of the log lines: text or json")
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="the lowest level that is logged: debug, info, warning or error"
    )

    @field_validator("picture_memory_bytes")
    @classmethod
    def _is_enough_for_a_picture(cls, size: int) -> int:
        if 0 < size < LEAST_PICTURE_MEMORY:
            raise ValueError(f"it must be 0, or at least {LEAST_PICTURE_MEMORY}")
        return size

    @field_validator("listen", "monitoring")
    @classmethod
    def _is_an_address(cls, address: str, info: ValidationInfo) -> str:
        if not address and info.field_name == "monitoring":
            return ""
        parsed = Address.parse(address)
        if not parsed.host and info.field_name == "monitoring":
            raise ValueError("it must be host:port")
        return parsed.text

    @classmethod
    def read(cls, file: Path | None = None, **flags: Any) -> Settings:
        """Settings from `file` (YAML), the environment and `flags` that are not None.

        Raises:
            InvalidArgument: a setting is unknown or out of range; the message says where it was given, and which
                values are valid.
        """
        known_file = SettingsFile.read(file, cls.model_fields) if file else None
        given = {name: value for name, value in flags.items() if value is not None}
        token = _file.set(known_file)
        try:
            return cls(**given)
        except ValidationError as error:
            wrong = [_wrong(dict(e), given, known_file) for e in error.errors()]
            raise InvalidArgument("; ".join(wrong)) from error
        finally:
            _file.reset(token)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        file = _file.get()
        return init_settings, env_settings, InitSettingsSource(settings_cls, file.values if file else {})

    def take_over(self, other: Settings, names: Iterable[str]) -> None:
        """Change live settings in place, for all parts that hold these settings. Nothing else changes them."""
        for name in names:
            self.__dict__[name] = getattr(other, name)

    def certificate_files(self) -> CertificateFiles | None:
        """The files of certificates for TLS; None: no TLS.

        Raises:
            InvalidArgument: a setting is missing.
        """
        given = {
            n for n in ("tls_certificate", "tls_private_key", "tls_client_ca") if getattr(self, n) is not None
        }
        if missing := {"tls_certificate", "tls_private_key"} - given:
            if given:
                raise InvalidArgument(f"{min(given)} is set, and {min(missing)} is not: TLS needs both")
            return None
        assert self.tls_certificate is not None and self.tls_private_key is not None
        return CertificateFiles(self.tls_certificate, self.tls_private_key, self.tls_client_ca)

    def type_weights(self) -> dict[int, float]:
        """Weight of a past item, by the number of the proto's EventType."""
        return {2: self.weight_view, 3: self.weight_click, 4: self.weight_cart, 5: self.weight_purchase}

    def thread_count(self) -> int:
        """Number of inference threads. If `threads` is 0: the number of processors that this process may use."""
        return self.threads or processor_count()

    def picture_memory(self) -> int:
        """Bytes for pictures that are decoded at the same time."""
        known = memory()
        share = MOST_PICTURE_MEMORY if known is None else known.limit // 4
        return self.picture_memory_bytes or max(LEAST_PICTURE_MEMORY, min(share, MOST_PICTURE_MEMORY))

    def store_connections(self) -> int:
        """Number of connections to the store, for the threads that serve calls, compute, load, maintain and write."""
        return self.rpc_threads + self.thread_count() + 3


def warn_of_unknown_variables(environment: Mapping[str, str] = os.environ) -> None:
    """Log each ITEMLENS_ variable that is not a setting. It is not an error, because Kubernetes sets some itself."""
    for variable in sorted(environment):
        name = variable.upper().removeprefix(PREFIX)
        if name == variable.upper() or name.lower() in Settings.model_fields:
            continue
        if variable.upper().startswith(CLIENT_PREFIX):
            log.info("%s is for commands that call a server; this one does not use it", variable)
            continue
        level = logging.DEBUG if _KUBERNETES.fullmatch(name) else logging.WARNING
        log.log(level, "%s is not a setting and is ignored%s", variable, _meant(name.lower(), PREFIX))


def _wrong(error: Mapping[str, Any], flags: Mapping[str, Any], file: SettingsFile | None) -> str:
    """A line on one wrong setting: its place, its value and the valid values."""
    name = str(error["loc"][0])
    if name not in Settings.model_fields:
        return f"{name} is not a setting{_meant(name)}"
    variable = next((v for v in os.environ if v.upper() == PREFIX + name.upper() and os.environ[v]), "")
    if name in flags:
        source = name
    elif variable:
        source = variable
    else:
        source = file.place(name) if file else name
    is_ours = error["type"] == "value_error"
    must = str(error["ctx"]["error"]) if is_ours else f"it must be {_allowed(Settings.model_fields[name])}"
    return f"{source} is {str(error['input'])!r:.80}: {must}"


def _allowed(field: FieldInfo) -> str:
    """A description of a setting's valid values."""
    choices = get_args(field.annotation)
    if choices:
        return "one of " + ", ".join(map(str, choices))
    kinds: dict[Any, str] = {bool: "true or false", int: "a whole number", float: "a number", Path: "a path"}
    kind = kinds.get(field.annotation, "a text")
    words = {"ge": "at least", "gt": "more than", "le": "at most"}
    bounds = [
        f"{word} {getattr(limit, key)}"
        for limit in field.metadata
        for key, word in words.items()
        if hasattr(limit, key)
    ]
    return ", ".join([kind, *bounds])


def _meant(name: str, prefix: str = "") -> str:
    near = did_you_mean(name, Settings.model_fields)
    return f"; did you mean {prefix}{near.upper() if prefix else near}?" if near else ""


def markdown() -> str:
    """The settings as the table of docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "Each setting can be given to `itemlens serve` in a YAML file (`--config`, lines such as `threads: 2`) or as "
        "an environment variable, and some also as a flag. Flags override the environment, and the environment "
        "overrides the file. An empty value counts as not given. A misspelt variable causes a warning; a misspelt "
        "key of the file is an error. A setting that is live counts within a second of a change of the file; "
        "others count after a restart.",
        "",
        "| setting | environment | default | live | meaning |",
        "|---|---|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        default = f"`{field.default}`" if str(field.default) else ""
        live = "yes" if name in LIVE else ""
        lines.append(f"| `{name}` | `ITEMLENS_{name.upper()}` | {default} | {live} | {field.description} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")
