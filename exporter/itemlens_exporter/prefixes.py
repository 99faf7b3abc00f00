"""The prefixes of query and item texts that a checkpoint was trained with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from itemlens_exporter import hub
from itemlens_exporter.errors import ExportError

# Names of prompts in config_sentence_transformers.json; the first one found is used. sentence-transformers itself
# uses "query", "document", "passage" and "corpus".
_QUERY = ("query", "search_query", "retrieval.query")
_ITEM = ("document", "passage", "corpus", "search_document", "retrieval.passage")

_SEARCH_EN = "Represent this sentence for searching relevant passages: "
_SEARCH_ZH = "为这个句子生成表示以用于检索相关文章："

# Name patterns of checkpoints whose files may lack prompts, with the prefixes from their model cards.
_KNOWN = (
    (r"e5-(small|base|large)(?!.*instruct)", "query: ", "passage: "),
    (r"bge-(small|base|large)-en", _SEARCH_EN, ""),
    (r"bge-(small|base|large)-zh", _SEARCH_ZH, ""),
    (r"(mxbai-embed|uae-large|snowflake-arctic-embed)", _SEARCH_EN, ""),
    (r"nomic-embed", "search_query: ", "search_document: "),
    (r"bge-m3|gte-|jina-embeddings-v2|labse|contriever", "", ""),
    (r"(all|paraphrase|multi-qa|msmarco)-.*(minilm|mpnet|roberta|distilbert)", "", ""),
)


@dataclass(frozen=True)
class Prefixes:
    """query, item: the prefixes. origin: where they are known from, for people; empty if nothing is known, in which
    case the checkpoint may still need prefixes."""

    query: str = ""
    item: str = ""
    origin: str = ""

    def overridden(self, query: str | None, item: str | None) -> Prefixes:
        """Return these prefixes, replaced by those that are given."""
        if query is None and item is None:
            return self
        given = [
            option
            for option, value in (("--query-prefix", query), ("--item-prefix", item))
            if value is not None
        ]
        return Prefixes(
            self.query if query is None else query,
            self.item if item is None else item,
            " and ".join(given + [self.origin] * (self.origin != "" and len(given) == 1)),
        )


def read(folder: Path, name: str) -> Prefixes:
    """Return the prefixes from the checkpoint's files, or else those known for its name."""
    said = hub.read_json(folder / "config_sentence_transformers.json")
    prompts = said.object("prompts")
    texts = {key: prompts.text(key) for key in prompts.content}
    default = said.text("default_prompt_name")
    if default and default not in texts:
        raise ExportError(
            f"{said.path}: default_prompt_name is {default!r}, which is not among its prompts: correct it"
        )
    query = _first(texts, _QUERY, texts.get(default, ""))
    item = _first(texts, _ITEM, texts.get(default, ""))
    if query or item:
        return Prefixes(query, item, said.path.name)
    for pattern, query, item in _KNOWN:
        if re.search(rf"(^|[^a-z0-9]){pattern}", name.lower()):
            return Prefixes(query, item, "the checkpoint's name")
    return Prefixes()


def _first(texts: dict[str, str], names: tuple[str, ...], default: str) -> str:
    return next((texts[name] for name in names if name in texts), default)
