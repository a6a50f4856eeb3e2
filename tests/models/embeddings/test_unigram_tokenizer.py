"""The unigram tokenizer against the `tokenizers` library and against its rules."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TypedDict

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from tests.models.embeddings.e5_files import CONTROLS, NORMALISATION, small_vocabulary
from yearling.errors import Untrusted
from yearling.models import UnigramTokenizer
from yearling.models.embeddings.unigram_tokenizer import read_tokenizer, write_vocabulary

PIECES, SCORES = small_vocabulary()
MASK = len(PIECES) - 1


class Fields(TypedDict):
    """What a model's configuration says of its vocabulary."""

    bos: int
    eos: int
    unk: int
    controls: tuple[int, ...]
    max_tokens: int


FIELDS: Fields = {"bos": 0, "eos": 2, "unk": 3, "controls": (0, 1, 2, 3, MASK), "max_tokens": 16}


def tokenizer(*, max_tokens: int = FIELDS["max_tokens"]) -> UnigramTokenizer:
    fields: Fields = {**FIELDS, "max_tokens": max_tokens}
    return UnigramTokenizer(PIECES, SCORES, NORMALISATION, **fields)


def reference() -> Tokenizer:
    """The library's tokenizer, with control pieces that no text contains."""
    hidden = {0, 1, 2, 3, MASK}
    vocabulary = [
        (f"\x01{piece}" if index in hidden else piece, score)
        for index, (piece, score) in enumerate(zip(PIECES, SCORES, strict=True))
    ]
    built = Tokenizer(models.Unigram(vocabulary, unk_id=3, byte_fallback=False))
    built.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=False)
    return built


def test_it_divides_texts_as_the_library_does() -> None:
    ours, theirs = tokenizer(max_tokens=10_000), reference()
    rng = random.Random(0)
    parts = [
        "the",
        "cat",
        " ",
        " ",
        "sat",
        "on",
        "zzz",
        "天气",
        "今天",
        "今",
        "password",
        "é",
        "😀",
        "😀",
        ".",
        "reset",
        "▁",
        "x",
    ]
    for _ in range(500):
        # The library puts no space before a text that begins with a written `▁`.
        text = "x" + "".join(rng.choice(parts) for _ in range(rng.randrange(1, 30)))
        expected = theirs.encode(ours.normalise(text), add_special_tokens=False).ids
        assert ours.encode(text) == [0, *expected, 2], text
        assert ours.count(text) == len(expected) + 2


def test_pieces_with_an_inner_space_are_found() -> None:
    pieces, scores = [*PIECES, "▁the▁cat"], [*SCORES, -0.5]
    ours = UnigramTokenizer(pieces, scores, NORMALISATION, **FIELDS)
    assert ours.encode("the cat sat") == [0, len(PIECES), PIECES.index("▁sat"), 2]


def test_text_never_becomes_a_control_token() -> None:
    for text in ("</s>", "<s> the <pad>", "<mask>", "a<unk>b"):
        assert not {0, 1, 2, MASK} & set(tokenizer(max_tokens=1000).encode(text)[1:-1]), text


def test_the_published_map_is_used_and_composed_forms_are_joined() -> None:
    ours = tokenizer()
    assert ours.normalise("\u3000The\tﬁne\x01 cat   ") == "the fine cat"
    assert ours.normalise("e\u0301") == "é"
    assert ours.encode("THE　CAT") == ours.encode("the cat")


def test_the_end_of_a_long_text_is_left_out() -> None:
    ours = tokenizer()
    long = ours.encode("the cat sat on the mat " * 100)
    assert len(long) == 16
    assert long[:15] == tokenizer(max_tokens=1000).encode("the cat sat on the mat " * 100)[:15]
    assert long[-1] == 2
    assert ours.count("the cat sat on the mat " * 100) == 602


@pytest.mark.parametrize("text", ["", "   ", "\x01\x01"])
def test_an_empty_text_has_only_control_tokens(text: str) -> None:
    assert tokenizer().encode(text) == [0, 2]


def test_unknown_neighbours_are_one_token() -> None:
    assert tokenizer().encode("é😀😀 é")[1:-1] == [PIECES.index("▁"), 3, PIECES.index("▁"), 3]


def test_a_vocabulary_file_gives_the_same_tokenizer(tmp_path: Path) -> None:
    path = tmp_path / "vocabulary.json"
    write_vocabulary(path, PIECES, SCORES, NORMALISATION)
    read = read_tokenizer(path, **FIELDS)
    for text in ("The cat, reset 今天天气", "<s>", "😀"):
        assert read.encode(text) == tokenizer().encode(text)


@pytest.mark.parametrize(
    "content", ["[]", "{}", '{"pieces": ["a"], "scores": [], "normalisation": []}', '{"pieces": 1}', "{", "\xff"]
)
def test_a_damaged_vocabulary_file_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "vocabulary.json"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(Untrusted):
        read_tokenizer(path, **FIELDS)


def test_the_control_pieces_of_the_small_vocabulary_come_first() -> None:
    assert tuple(PIECES[:4]) == CONTROLS
