"""All settings of the server. Each can come from a YAML file, the environment (`ITEMLENS_` + name) or a flag."""

from __future__ import annotations

import os
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from itemlens_server.errors import InvalidArgument

MIB = 1 << 20

# The file that `Settings.read` was given, for the source that reads it.
_file: ContextVar[Path | None] = ContextVar("file", default=None)


class Settings(BaseSettings):
    """The server's settings: flags win over the environment, the environment over the file."""

    model_config = SettingsConfigDict(env_prefix="ITEMLENS_", extra="forbid", frozen=True)

    listen: str = Field("127.0.0.1:50051", description="address to serve on; port 0 takes a free one")
    models: Path = Field(Path("models"), description="the model repository: a folder of spaces")
    data: Path = Field(
        Path("data"), description="the folder of the store and its indexes; one server at a time"
    )
    space: str = Field(
        "",
        description="id or name of the default space, which new collections take; else the last exported: a fit "
        "does not change it",
    )
    provider: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="ONNX Runtime provider; cuda must load or the server stops"
    )
    precision: Literal["auto", "fp32", "fp16", "int8"] = Field(
        "auto",
        description="ONNX graph to run; auto: fp16 on CUDA, else fp32; an encoder without it runs in fp32",
    )
    threads: int = Field(0, ge=0, description="inference threads; 0: one a processor")
    low_latency_sessions: bool = Field(
        True,
        description="give each encoder a second session, of all threads, for an input that comes alone: half the "
        "latency for the memory of the weights once more",
    )
    rpc_threads: int = Field(
        16, ge=2, description="threads for calls that compute or wait for the store; half of them for bulk"
    )
    max_calls: int = Field(
        4096, gt=0, description="calls open at a time, but for streams; past it they get RESOURCE_EXHAUSTED"
    )
    max_streams: int = Field(
        1024,
        gt=0,
        description="streams open at a time; past it the one that is idle longest is ended for a new one",
    )
    max_streams_per_connection: int = Field(
        100, gt=0, description="calls and streams open at a time on one connection; a client's gRPC holds further ones "
        "back until there is room",
    )  # fmt: skip
    stream_idle_seconds: float = Field(
        3600, gt=0, description="a stream whose caller sends nothing for so long, or does not read, is ended"
    )
    max_idle_spaces: int = Field(
        4,
        ge=0,
        description="spaces with encoders of their own that are loaded, and kept, because a call named them, besides "
        "the default one and those of collections; each takes the memory of its models",
    )
    gpu_memory_bytes: int = Field(
        8 << 30, gt=0, description="upper bound of ONNX Runtime's CUDA arena, per session"
    )

    max_inputs: int = Field(
        256, gt=0, description="inputs, items or explanations in one Encode, Fuse or Explain call"
    )
    max_items: int = Field(1000, gt=0, description="items in one upsert, get or delete call")
    max_events: int = Field(10_000, gt=0, description="events in one call")
    max_history: int = Field(
        10_000, gt=0, description="past items in one call; the newest `history_window` count"
    )
    max_candidates: int = Field(1000, gt=0, description="caller's own candidates in one call")
    max_k: int = Field(1000, gt=0, description="recommendations in one call")
    max_text_bytes: int = Field(256 << 10, gt=0, description="UTF-8 bytes of one text")
    max_picture_bytes: int = Field(10 * MIB, gt=0, description="bytes of one encoded picture")
    max_picture_pixels: int = Field(
        40_000_000, gt=0, description="pixels of one picture, read from its header"
    )
    max_item_pictures: int = Field(128, gt=0, description="pictures of one item in one channel")
    max_message_bytes: int = Field(64 * MIB, gt=0, description="bytes of one gRPC message")
    max_queue_tokens: int = Field(
        0, ge=0, description="tokens (pictures) that wait for an encoder before calls get RESOURCE_EXHAUSTED; "
        "0: what it runs in `max_queue_seconds`",
    )  # fmt: skip
    max_queue_seconds: float = Field(4.0, gt=0, description="bound of the queue, if not given in tokens")
    max_wait_seconds: float = Field(
        0.3, gt=0, description="a call that would wait longer for an encoder gets RESOURCE_EXHAUSTED, if that is "
        "behind more inputs than `min_admitted_inputs` and `large_call_patience` allow",
    )  # fmt: skip
    min_admitted_inputs: int = Field(
        63, ge=0, description="inputs behind which any call may wait, so that on a slow machine, too, 64 callers of "
        "single inputs who take turns are all served",
    )  # fmt: skip
    large_call_patience: int = Field(
        7, ge=0, description="a call may wait behind this many times as many inputs as it has itself: 8 callers of "
        "large calls who take turns are all served",
    )  # fmt: skip
    embedding_cache_bytes: int = Field(
        64 * MIB, ge=0, description="memory for vectors of what was encoded lately; 0: none"
    )
    max_store_bytes: int = Field(0, ge=0, description="size limit of the store's file; 0: the disk")
    max_recommendations: int = Field(20_000, gt=0, description="recommendations remembered for Explain")

    history_window: int = Field(50, gt=0, description="past items that count")
    history_decay: float = Field(
        0.9, gt=0, le=1, description="weight of a past item against the next newer one"
    )
    weight_view: float = Field(0.2, ge=0, description="weight of a VIEW")
    weight_click: float = Field(0.5, ge=0, description="weight of a CLICK")
    weight_cart: float = Field(0.8, ge=0, description="weight of a CART")
    weight_purchase: float = Field(1.0, ge=0, description="weight of a PURCHASE")
    candidates_per_channel: int = Field(
        400,
        gt=0,
        description="candidates an HNSW index gives, half as many to past items; more: better recall, slower",
    )
    segment_rows: int = Field(
        2048, gt=0, description="new items that are searched exactly before an HNSW index is built of them"
    )
    drain_seconds: float = Field(30, ge=0, description="time for running calls to finish after SIGTERM")
    log: Literal["text", "json"] = Field("text", description="form of the log lines")

    @classmethod
    def read(cls, file: Path | None = None, **flags: Any) -> Settings:
        """Settings from `file` (YAML), the environment and `flags` that are not None.

        Raises:
            ValueError: a setting is unknown or out of range; the message names it.
        """
        token = _file.set(file)
        try:
            return cls(**{name: value for name, value in flags.items() if value is not None})
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
        return init_settings, env_settings, _yaml_source(settings_cls, _file.get())

    def type_weights(self) -> dict[int, float]:
        """Weight of a past item by the number of the contract's EventType."""
        return {2: self.weight_view, 3: self.weight_click, 4: self.weight_cart, 5: self.weight_purchase}

    def thread_count(self) -> int:
        """Inference threads, resolved."""
        return self.threads or os.cpu_count() or 1


def _yaml_source(settings: type[BaseSettings], file: Path | None) -> YamlConfigSettingsSource:
    try:
        # The source passes over what is no file, and the server would run with defaults.
        if file is not None and not file.is_file():
            file.stat()
            raise InvalidArgument(f"{file} is no regular file; write the settings to one")
        return YamlConfigSettingsSource(settings, file, "utf-8")
    except (OSError, yaml.YAMLError) as error:
        raise InvalidArgument(f"{file} cannot be read as YAML: {error}") from error
    except (AttributeError, TypeError, ValueError) as error:  # YAML, but not names with values
        raise InvalidArgument(
            f"{file} holds no settings: write lines such as `listen: 0.0.0.0:50051`"
        ) from error


def markdown() -> str:
    """The settings as the table of docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "Each can be given to `itemlens serve` in a YAML file (`--config`), as an environment variable, or, the first "
        "ones, as a flag. Flags win over the environment, the environment over the file.",
        "",
        "| setting | environment | default | what it is |",
        "|---|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        default = f"`{field.default}`" if str(field.default) else ""
        lines.append(f"| `{name}` | `ITEMLENS_{name.upper()}` | {default} | {field.description} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(markdown(), end="")
