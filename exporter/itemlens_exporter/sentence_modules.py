"""The modules of a sentence-transformers checkpoint: its encoder, pooling and settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from itemlens_exporter import hub
from itemlens_exporter.errors import ExportError

MODULES = "modules.json"

# The supported modules, in this order: the encoder, the pooling, the scaling of the pooled vector. With them the vector
# is the mean over its tokens, up to its length. Dropout affects training only and may occur anywhere.
_ENCODER, _POOLING, _LENGTH, _TRAINING = "Transformer", "Pooling", "Normalize", "Dropout"

# sentence-transformers names the file of the encoder's settings by architecture.
_SETTINGS = tuple(
    f"sentence_{name}_config.json" for name in ("bert", "roberta", "distilbert", "camembert", "xlm-roberta")
)


@dataclass(frozen=True)
class SentenceModules:
    """encoder: the folder with config.json, weights and tokenizer
    max_tokens: from the encoder's settings, if given
    lower_case: whether texts are converted to lower case first
    prompt_left_out: the pooling's file, if it excludes the prompt from the mean
    """

    encoder: Path
    max_tokens: int | None
    lower_case: bool
    prompt_left_out: Path | None


def read(folder: Path, *, mean: bool = False) -> SentenceModules:
    """Read modules.json and the files that it names. A plain checkpoint has no such file and is pooled by the mean.

    `mean`: use the mean over the tokens even if the checkpoint was trained with another pooling.
    ExportError: a module changes the vector in an unsupported way, or a file is damaged.
    """
    encoder, pooling = _folders(folder) or (folder, folder / "1_Pooling")
    said = hub.read_json(pooling / "config.json")
    if (folder / MODULES).is_file() and not said.there:
        raise ExportError(
            f"{said.path} is missing, although {MODULES} names it: download the checkpoint again"
        )
    left_out = not mean and _check_pooling(said)
    settings = next(
        (found for name in _SETTINGS if (found := hub.read_json(encoder / name)).there),
        hub.read_json(encoder / _SETTINGS[0]),
    )
    task = settings.text("transformer_task", "feature-extraction")
    if task != "feature-extraction":
        raise ExportError(
            f"{settings.path}: transformer_task is {task!r}: only feature-extraction is supported"
        )
    return SentenceModules(
        encoder,
        settings.length("max_seq_length"),
        settings.flag("do_lower_case", False),
        said.path if left_out else None,
    )


def _folders(folder: Path) -> tuple[Path, Path] | None:
    """Return the folders of the encoder and of the pooling, if the checkpoint names them."""
    path = folder / MODULES
    modules = hub.read_json_value(path)
    if modules is None:
        return None
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        raise ExportError(f"{path} is not a list of modules: download it again")
    listed = [hub.JsonFile(path, module) for module in modules]
    kinds = [module.text("type").rpartition(".")[2] for module in listed]
    for number, (module, kind) in enumerate(zip(listed, kinds, strict=True)):
        if kind not in (_ENCODER, _POOLING, _LENGTH, _TRAINING):
            place = f" in {module.text('path')}" if module.text("path") else ""
            raise ExportError(
                f"{path}: module {number}{place} is of type {module.text('type')!r}, but explanations need a vector "
                "that is the mean over the tokens: use a checkpoint with only the modules "
                f"{_ENCODER}, {_POOLING} and {_LENGTH}"
            )
    order = [kind for kind in kinds if kind != _TRAINING]
    if order not in ([_ENCODER, _POOLING], [_ENCODER, _POOLING, _LENGTH]):
        raise ExportError(
            f"{path}: modules {', '.join(order) or 'none'} are not supported: only {_ENCODER}, {_POOLING} and "
            f"optionally {_LENGTH}, in this order, are"
        )
    encoder, pooling = (folder / listed[kinds.index(kind)].text("path") for kind in (_ENCODER, _POOLING))
    return encoder, pooling


def _check_pooling(said: hub.JsonFile) -> bool:
    """Return whether a prompt is left out of the mean. ExportError if the pooling is not a mean."""
    named = said.text("pooling_mode").lower()
    flags = {"mean_tokens": not named} | {
        key.removeprefix("pooling_mode_"): said.flag(key, False)
        for key in said.content
        if key.startswith("pooling_mode_")
    }
    modes = [named] if named else [mode for mode, on in flags.items() if on]
    if modes not in (["mean"], ["mean_tokens"]):
        raise ExportError(
            f"{said.path}: the checkpoint was trained to pool by {_listed(modes)}, but explanations need the mean over "
            "the tokens: use a checkpoint with mean pooling, or give --pooling mean to use the mean of this one; "
            "evaluate its quality first"
        )
    return not said.flag("include_prompt", True)


def _listed(modes: Sequence[str]) -> str:
    return " and ".join(sorted(modes)) or "an unknown method"
