"""Text checkpoints of the BERT family, plain or of sentence-transformers."""

from __future__ import annotations

from pathlib import Path

from tokenizers import normalizers
from transformers import AutoTokenizer, PretrainedConfig, PreTrainedTokenizerFast

from itemlens_exporter import hub
from itemlens_exporter.errors import ExportError
from itemlens_exporter.graph import quiet
from itemlens_exporter.text import TextCheckpoint

FAMILY = ("bert", "roberta", "xlm-roberta", "camembert", "distilbert", "mpnet", "electra")
# These count positions from behind the padding token's id.
_OFFSET_POSITIONS = ("roberta", "xlm-roberta", "camembert", "mpnet")


def load(
    name: str, presets: list[str], *, mean: bool = False, source: dict[str, str] | None = None
) -> TextCheckpoint:
    """Load a checkpoint from a folder or the hub.

    `mean`: take the mean over the tokens also where the checkpoint was trained to pool otherwise.
    ExportError: not of the BERT family, pooled otherwise, damaged, without a tokenizer that can be made a
    fast one.
    """
    folder = hub.fetch(name, presets)
    config = hub.load_config(folder)
    if config.model_type not in FAMILY:
        raise ExportError(
            f"{name} is of type {config.model_type!r}, not of the BERT family: {', '.join(FAMILY)}"
        )
    _check_pooling(name, folder, mean)
    tokenizer = _tokenizer(folder)
    sentence = hub.read_json(folder / "sentence_bert_config.json")
    backend = tokenizer.backend_tokenizer
    if sentence.get("do_lower_case"):
        before = [backend.normalizer] if backend.normalizer else []
        backend.normalizer = normalizers.Sequence([normalizers.Lowercase(), *before])
    prompts = hub.read_json(folder / "config_sentence_transformers.json").get("prompts", {})
    return TextCheckpoint(
        model=hub.load_model(folder, config),
        tokenizer=backend,
        max_tokens=min(
            _positions(config),
            sentence.get("max_seq_length") or _positions(config),
            tokenizer.model_max_length,
        ),
        source=source or hub.source(name, config),
        query_prefix=prompts.get("query", ""),
        item_prefix=prompts.get("document", prompts.get("passage", "")),
        unknown_token=tokenizer.unk_token or "",
    )


def _check_pooling(name: str, folder: Path, mean: bool) -> None:
    modules = hub.read_json(folder / "modules.json").get("modules", [])
    if any(module["type"].endswith("Dense") for module in modules):
        raise ExportError(
            f"{name} has a dense layer behind its pooling, so its vector is no mean over tokens: "
            "take another checkpoint"
        )
    pooling = hub.read_json(folder / "1_Pooling" / "config.json")
    modes = {key.removeprefix("pooling_mode_") for key, value in pooling.items() if value is True}
    modes = {mode for mode in modes if mode != "include_prompt"} | {str(pooling.get("pooling_mode", "mean"))}
    others = sorted(modes - {"mean", "mean_tokens"})
    if others and not mean:
        raise ExportError(
            f"{name} was trained to pool by {', '.join(others)}, and an explanation needs a mean over "
            "tokens: take a checkpoint with mean pooling, or give --pooling mean to use this one's mean, "
            "which you should evaluate first"
        )


def _tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(folder)
    except Exception as error:
        raise ExportError(
            f"the tokenizer in {folder} cannot be read ({error}): tokenizer.json or the vocabulary is needed"
        ) from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise ExportError(f"the tokenizer in {folder} has no fast version: a tokenizer.json is needed")
    return tokenizer


def _positions(config: PretrainedConfig) -> int:
    positions = int(config.max_position_embeddings)
    return (
        positions - int(config.pad_token_id or 0) - 1 if config.model_type in _OFFSET_POSITIONS else positions
    )
