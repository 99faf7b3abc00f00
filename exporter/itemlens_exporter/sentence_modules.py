"""What the folder of a sentence-transformers checkpoint says of the modules around its encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from itemlens_exporter import hub
from itemlens_exporter.errors import ExportError

MODULES = "modules.json"

# The only ones that leave a vector the mean over its tokens, at most at another length. In this order: the encoder,
# how its tokens are pooled, what is done to the pooled vector. Dropout is for training and may stand anywhere.
_ENCODER, _POOLING, _LENGTH, _TRAINING = "Transformer", "Pooling", "Normalize", "Dropout"

# sentence-transformers has named the encoder's own settings by its architecture.
_SETTINGS = tuple(
    f"sentence_{name}_config.json" for name in ("bert", "roberta", "distilbert", "camembert", "xlm-roberta")
)


@dataclass(frozen=True)
class SentenceModules:
    """encoder: the folder with config.json, weights and tokenizer
    max_tokens: as the encoder's settings say, if they do
    lower_case: whether texts are put into lower case first
    prompt_left_out: the pooling's file, if it says that a prompt is no part of the mean
    """

    encoder: Path
    max_tokens: int | None
    lower_case: bool
    prompt_left_out: Path | None


def read(folder: Path, *, mean: bool = False) -> SentenceModules:
    """Read modules.json and the files that it names; a plain checkpoint, without one, is pooled by its mean.

    `mean`: take the mean over the tokens also where the checkpoint was trained to pool otherwise.
    ExportError: a module changes the vector in a way that cannot be served, or a file is damaged.
    """
    encoder, pooling = _folders(folder) or (folder, folder / "1_Pooling")
    said = hub.read_json(pooling / "config.json")
    if (folder / MODULES).is_file() and not said.there:
        raise ExportError(
            f"{said.path} is missing, and {MODULES} says that it is there: get the checkpoint again"
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
    """The folders of the encoder and of the pooling, if the checkpoint names them."""
    path = folder / MODULES
    modules = hub.read_json_value(path)
    if modules is None:
        return None
    if not isinstance(modules, list) or not all(isinstance(module, dict) for module in modules):
        raise ExportError(f"{path} holds no list of modules: get it again")
    listed = [hub.JsonFile(path, module) for module in modules]
    kinds = [module.text("type").rpartition(".")[2] for module in listed]
    for number, (module, kind) in enumerate(zip(listed, kinds, strict=True)):
        if kind not in (_ENCODER, _POOLING, _LENGTH, _TRAINING):
            place = f" in {module.text('path')}" if module.text("path") else ""
            raise ExportError(
                f"{path}: module {number}{place} is of type {module.text('type')!r}, with which the vector is not the "
                "mean over tokens that an explanation needs: take a checkpoint with the modules "
                f"{_ENCODER}, {_POOLING} and {_LENGTH} alone"
            )
    order = [kind for kind in kinds if kind != _TRAINING]
    if order not in ([_ENCODER, _POOLING], [_ENCODER, _POOLING, _LENGTH]):
        raise ExportError(
            f"{path}: modules {', '.join(order) or 'none'} are not supported: {_ENCODER}, {_POOLING} and, if there is "
            f"one, {_LENGTH} are, in this order"
        )
    encoder, pooling = (folder / listed[kinds.index(kind)].text("path") for kind in (_ENCODER, _POOLING))
    return encoder, pooling


def _check_pooling(said: hub.JsonFile) -> bool:
    """Whether a prompt is left out of the mean. ExportError where the pooling is no mean."""
    named = said.text("pooling_mode").lower()
    flags = {"mean_tokens": not named} | {
        key.removeprefix("pooling_mode_"): said.flag(key, False)
        for key in said.content
        if key.startswith("pooling_mode_")
    }
    modes = [named] if named else [mode for mode, on in flags.items() if on]
    if modes not in (["mean"], ["mean_tokens"]):
        raise ExportError(
            f"{said.path}: the checkpoint was trained to pool by {_listed(modes)}, and an explanation needs a mean "
            "over tokens: take a checkpoint with mean pooling, or give --pooling mean to use this one's mean, which "
            "you should evaluate first"
        )
    return not said.flag("include_prompt", True)


def _listed(modes: Sequence[str]) -> str:
    return " and ".join(sorted(modes)) or "nothing that the file says"
