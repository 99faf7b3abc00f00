"""Text checkpoints of the BERT family, plain or of sentence-transformers."""

from __future__ import annotations

from pathlib import Path

from tokenizers import normalizers
from transformers import AutoTokenizer, PretrainedConfig, PreTrainedTokenizerFast

from itemlens_exporter import hub, prefixes, sentence_modules
from itemlens_exporter.errors import ExportError
from itemlens_exporter.graph import quiet
from itemlens_exporter.text import TextCheckpoint

FAMILY = ("bert", "roberta", "xlm-roberta", "camembert", "distilbert", "mpnet", "electra")
# The positions of these start after the padding token's id.
_OFFSET_POSITIONS = ("roberta", "xlm-roberta", "camembert", "mpnet")


def load(
    name: str,
    presets: list[str],
    *,
    mean: bool = False,
    query_prefix: str | None = None,
    item_prefix: str | None = None,
    source: dict[str, str] | None = None,
) -> TextCheckpoint:
    """Load a checkpoint from a folder or the hub.

    `mean`: use the mean over the tokens even if the checkpoint was trained with another pooling.
    `query_prefix`, `item_prefix`: replace those from the checkpoint's files or name.
    ExportError: it is not of the BERT family, has another pooling, is damaged, or has no fast tokenizer.
    """
    folder = hub.fetch(name, presets)
    modules = sentence_modules.read(folder, mean=mean)
    config = hub.load_config(modules.encoder)
    if config.model_type not in FAMILY:
        raise ExportError(
            f"{name} has type {config.model_type!r}, which is not of the BERT family: {', '.join(FAMILY)}"
        )
    source = source or hub.source(name, config)
    found = prefixes.read(folder, source["checkpoint"]).overridden(query_prefix, item_prefix)
    if modules.prompt_left_out and (found.query or found.item):
        raise ExportError(
            f"{modules.prompt_left_out}: include_prompt is false: a prompt ({found.query or found.item!r}) outside the "
            "mean is not supported; use another checkpoint, or give --query-prefix '' and --item-prefix '' to drop the "
            "prompt, or --pooling mean to include it in the mean; evaluate the quality of either first"
        )
    tokenizer = _tokenizer(modules.encoder)
    backend = tokenizer.backend_tokenizer
    if modules.lower_case:
        before = [backend.normalizer] if backend.normalizer else []
        backend.normalizer = normalizers.Sequence([normalizers.Lowercase(), *before])
    positions = _positions(modules.encoder, config)
    limit = tokenizer.model_max_length
    if not isinstance(limit, int | float) or limit < 1:
        raise ExportError(
            f"{modules.encoder / 'tokenizer_config.json'}: model_max_length is {limit!r}, not a number above 0: "
            "correct the file"
        )
    return TextCheckpoint(
        model=hub.load_model(modules.encoder, config),
        tokenizer=backend,
        max_tokens=int(min(positions, modules.max_tokens or positions, limit)),
        source=source,
        query_prefix=found.query,
        item_prefix=found.item,
        prefixes_from=found.origin,
        unknown_token=tokenizer.unk_token or "",
    )


def _tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    try:
        with quiet():
            tokenizer = AutoTokenizer.from_pretrained(folder)
    except Exception as error:
        raise ExportError(
            f"the tokenizer in {folder} cannot be read ({error}): tokenizer.json or the vocabulary is required"
        ) from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise ExportError(f"the tokenizer in {folder} has no fast version: tokenizer.json is required")
    return tokenizer


def _positions(folder: Path, config: PretrainedConfig) -> int:
    """Return the length of the longest sequence that the encoder has positions for."""
    positions = config.max_position_embeddings
    offset = (config.pad_token_id or 0) + 1 if config.model_type in _OFFSET_POSITIONS else 0
    if not isinstance(positions, int) or not isinstance(offset, int) or positions <= offset:
        raise ExportError(
            f"{folder / 'config.json'}: max_position_embeddings is {positions!r} and pad_token_id "
            f"{config.pad_token_id!r}: no positions are left for a text; correct the file"
        )
    return positions - offset
