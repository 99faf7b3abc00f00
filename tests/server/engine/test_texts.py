"""Texts: the tokens that the model reads, and their offsets in the caller's text."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Encoding, models, normalizers, pre_tokenizers, processors
from tokenizers import Tokenizer as HfTokenizer

from itemlens_server.engine.manifest import File, TextPreprocessing, describe_file
from itemlens_server.engine.texts import CHARACTERS_PER_TOKEN, TextError, Tokenizer, Tokens

MAX = 24
NOWHERE = File(path="tokenizer.json", sha256="", bytes=0)
LETTERS = [chr(c) for c in range(33, 127)] + list("你好世界茶红")


def wordpiece() -> HfTokenizer:
    """Return a tokenizer like BERT's: word pieces, an unknown token, [CLS] and [SEP]."""
    words = ["hello", "world", "tea", "query", "passage"]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *LETTERS, *("##" + letter for letter in LETTERS), *words]
    vocabulary = {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = HfTokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    tokenizer.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    tokenizer.enable_padding(length=64)
    return tokenizer


def unigram() -> HfTokenizer:
    """Return a tokenizer like SentencePiece's: a space is part of the word after it."""
    pieces = [
        ("<unk>", 0.0),
        ("▁", -3.0),
        ("▁hello", -4.0),
        ("▁world", -4.0),
        ("▁tea", -4.0),
        ("▁query", -4.0),
    ]
    pieces += [(letter, -6.0) for letter in LETTERS]
    tokenizer = HfTokenizer(models.Unigram(pieces, unk_id=0))
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    return tokenizer


def make(tokenizer: HfTokenizer, prefixed: bool = False, max_tokens: int = MAX) -> Tokenizer:
    prefixes = {"query_prefix": "query: ", "item_prefix": "passage: "} if prefixed else {}
    return Tokenizer(
        tokenizer,
        TextPreprocessing(tokenizer=NOWHERE, max_tokens=max_tokens, unknown_token="[UNK]", **prefixes),
    )


@pytest.fixture(scope="module", params=["wordpiece", "wordpiece+prefix", "unigram", "unigram+prefix"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    name, _, prefix = request.param.partition("+")
    return make({"wordpiece": wordpiece, "unigram": unigram}[name](), bool(prefix))


def words(text: str, tokens: Tokens) -> list[str]:
    """Return the parts of the caller's text that its tokens point to."""
    return [text[start:end] for start, end in tokens.offsets[~tokens.special]]


def test_offsets_point_into_the_callers_text(tokenizer: Tokenizer) -> None:
    text = "  Hello world, TEA "
    assert "".join(words(text, tokenizer.encode(text, "query"))) == "Helloworld,TEA"


def test_a_space_that_belongs_to_a_piece_is_not_pointed_to() -> None:
    assert words("hello world", make(unigram()).encode("hello world", "item")) == ["hello", "world"]


def test_a_piece_that_is_only_a_space_has_no_width() -> None:
    # ▁ 你 ▁ 好
    assert make(unigram()).encode("你 好", "item").offsets.tolist() == [[0, 0], [0, 1], [2, 2], [2, 3]]


def test_special_and_prefix_tokens_point_nowhere() -> None:
    tokens = make(wordpiece(), prefixed=True).encode("tea", "query")
    # [CLS] query : tea [SEP]
    assert tokens.special.tolist() == [True, True, True, False, True]
    assert tokens.offsets.tolist() == [[-1, -1]] * 3 + [[0, 3]] + [[-1, -1]]


def test_the_purpose_chooses_the_prefix() -> None:
    both = make(wordpiece(), prefixed=True)
    assert both.encode("tea", "query").ids[1] != both.encode("tea", "item").ids[1]
    neither = make(wordpiece())
    np.testing.assert_array_equal(neither.encode("tea", "query").ids, neither.encode("tea", "item").ids)


def test_types_and_shapes(tokenizer: Tokenizer) -> None:
    tokens = tokenizer.encode("hello world", "item")
    count = len(tokens.ids)
    assert [str(part.dtype) for part in (tokens.ids, tokens.offsets, tokens.special)] == [
        "int64",
        "int64",
        "bool",
    ]
    assert (tokens.offsets.shape, tokens.special.shape) == ((count, 2), (count,))


def test_nothing_is_padded() -> None:
    assert len(make(wordpiece()).encode("tea", "item").ids) == 3


def test_a_long_text_is_cut_and_says_so() -> None:
    tokenizer = make(wordpiece(), prefixed=True)
    tokens = tokenizer.encode("tea " * 100, "query")
    assert tokens.truncated
    assert len(tokens.ids) == MAX
    assert tokens.special[[0, 1, 2, -1]].all()  # [CLS], the prefix and [SEP] stay
    assert not tokenizer.encode("tea", "query").truncated


@pytest.mark.parametrize("gap", [" " * 9000, " \n\t　" * 2000, "\r\n" * 5000])
def test_behind_a_gap_of_white_space_the_text_is_read(tokenizer: Tokenizer, gap: str) -> None:
    text = f" hello{gap}world {gap} tea"
    tokens = tokenizer.encode(text, "item")
    assert "".join("".join(words(text, tokens)).split()) == "helloworldtea"
    assert not tokens.truncated


@pytest.mark.parametrize("run", ["a" * 9000, "\0" * 9000, "\u200b" * 9000])
def test_behind_a_run_that_is_one_token_or_none_the_text_is_read(run: str) -> None:
    text = f"hello {run} world tea"
    tokens = make(wordpiece()).encode(text, "item")
    read = words(text, tokens)
    assert (read[0], read[-2], read[-1]) == ("hello", "world", "tea")
    assert tokens.truncated  # part of the run was left out


def test_a_text_that_fits_is_tokenised_as_it_is(tokenizer: Tokenizer) -> None:
    text = "hello" + " " * 9 + "world" + "\n" * 9
    alone = tokenizer._tokenizer.encode(tokenizer._prefixes["item"] + text.strip()).ids
    assert tokenizer.encode(text, "item").ids.tolist() == alone


def test_where_words_stand_is_right_behind_any_number_of_gaps() -> None:
    rng = random.Random(5)
    listed = [rng.choice(["hello", "world", "tea", "t"]) for _ in range(20)]
    text = "".join(word + rng.choice([" ", "  ", " " * 12, "\n" * 40, "\t \n" * 300]) for word in listed)
    tokens = make(wordpiece(), max_tokens=22).encode(text, "item")
    assert words(text, tokens) == listed and not tokens.truncated


def test_a_text_of_exactly_the_length_is_whole() -> None:
    assert not make(wordpiece()).encode("tea " * (MAX - 2), "item").truncated
    assert make(wordpiece()).encode("tea " * (MAX - 1), "item").truncated


@pytest.mark.parametrize("text", ["", " ", "\n\t　 ", "\0", "\u200b", "\0 \x01"])
def test_a_text_without_a_readable_character_is_refused(text: str) -> None:
    with pytest.raises(TextError, match="at least one"):
        make(wordpiece()).encode(text, "query")


def test_half_a_surrogate_pair_is_refused_with_its_place(tokenizer: Tokenizer) -> None:
    with pytest.raises(TextError, match="character 6"):
        tokenizer.encode("  tea \ud83d tea", "item")
    with pytest.raises(TextError, match="character 9007"):
        tokenizer.encode("  tea" + " " * 9000 + "t \ud83d", "item")


def test_chinese_and_emoji(tokenizer: Tokenizer) -> None:
    text = "你好 😀 世界"
    assert "".join(words(text, tokenizer.encode(text, "item"))) == "你好😀世界"


def test_nul_characters_are_skipped() -> None:
    text = "tea\0tea world"
    assert words(text, make(wordpiece()).encode(text, "item"))[-1] == "world"


def test_the_share_of_unknown_tokens() -> None:
    tokenizer = make(wordpiece())
    assert tokenizer.encode("tea tea", "item").unknown_fraction == 0
    assert tokenizer.encode("tea ж", "item").unknown_fraction == 0.5
    assert tokenizer.encode("ж я", "item").unknown_fraction == 1


@pytest.mark.parametrize("text", ["[SEP] tea", "tea [CLS][PAD]"])
def test_control_tokens_in_a_text_are_only_words(text: str) -> None:
    tokens = make(wordpiece()).encode(text, "item")
    assert not set(tokens.ids[~tokens.special]) & {0, 2, 3}


@pytest.mark.parametrize(
    "text", ["tea " * 250_000, "t" * 1_000_000, "😀" * 1_000_000, " " * 999_990 + "tea", "茶" * 10**6]
)
def test_of_a_megabyte_only_what_the_model_may_read_is_tokenised(
    tokenizer: Tokenizer, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int] = []

    class Counted:
        def encode(self, window: str) -> Encoding:
            given.append(len(window))
            return library.encode(window)

    library = tokenizer._tokenizer
    monkeypatch.setattr(tokenizer, "_tokenizer", Counted())
    tokens = tokenizer.encode(text, "item")
    assert len(given) <= 2 and max(given) <= len("passage: ") + MAX * CHARACTERS_PER_TOKEN
    assert len(tokens.ids) <= MAX
    assert tokens.truncated == (len(text.strip()) > 10)


def test_a_model_with_no_room_behind_its_prefix_is_refused() -> None:
    with pytest.raises(TextError, match="no room"):
        make(wordpiece(), prefixed=True, max_tokens=4)


def test_it_is_read_from_a_space(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(wordpiece().to_str(), encoding="utf-8")
    about = TextPreprocessing(tokenizer=describe_file(tmp_path, "tokenizer.json"), max_tokens=MAX)
    tokens = Tokenizer.load(tmp_path, about).encode("tea", "item")
    np.testing.assert_array_equal(tokens.ids, make(wordpiece()).encode("tea", "item").ids)


def test_threads_share_it(tokenizer: Tokenizer) -> None:
    texts = [f"hello {i} world 茶" for i in range(200)]
    alone = [tokenizer.encode(text, "query").ids.tolist() for text in texts]
    with ThreadPoolExecutor(4) as pool:
        assert [
            ids.tolist() for ids in pool.map(lambda text: tokenizer.encode(text, "query").ids, texts)
        ] == alone


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=80))
@pytest.mark.parametrize("kind", [wordpiece(), unigram()], ids=["wordpiece", "unigram"])
def test_any_text_is_tokenised_or_refused(kind: HfTokenizer, text: str) -> None:
    tokenizer = make(kind, prefixed=True)
    try:
        tokens = tokenizer.encode(text, "query")
    except TextError:
        return
    own = tokens.offsets[~tokens.special]
    assert len(tokens.ids) <= MAX
    assert len(own) > 0
    assert (own >= 0).all()
    assert (own[:, 0] <= own[:, 1]).all()
    assert (own[:, 1] <= len(text)).all()
    assert (np.diff(own[:, 0]) >= 0).all()
    assert (tokens.offsets[tokens.special] == -1).all()
    assert 0 <= tokens.unknown_fraction <= 1
