"""Log-probabilities: the tokens of an answer are those of its text, also where a stop string ends it in mid-token."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from yearling.chat import TokenTextAligner
from yearling.inference import ByteTokenizer, Token


class WordTokenizer(ByteTokenizer):
    """Each token is one of some words."""

    words = ("one", " two", " th", "ree é", "\u00e9 four")

    def token_bytes(self, token_id: int, /) -> bytes:
        return self.words[token_id].encode()


def aligned(steps: Sequence[tuple[int, str]], *, was_cut: bool) -> str:
    """The text of the tokens that are reported for steps of (token, text that it completes)."""
    aligner = TokenTextAligner(WordTokenizer())
    tokens = [token for token_id, text in steps for token in aligner.push([Token(id=token_id, logprob=-1)], text)]
    tokens += aligner.flush(all_tokens_are_text=not was_cut)
    assert all(token.raw_bytes.decode() == token.text for token in tokens)
    return "".join(token.text for token in tokens)


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ([(0, "one"), (1, "")], "one"),
        ([(0, "one"), (1, " t")], "one t"),
        ([(0, "one"), (2, ""), (3, " thre")], "one thre"),
        ([(0, "one"), (2, ""), (3, " three é"), (4, "")], "one three é"),
        ([(4, "é")], "é"),
    ],
    ids=["whole tokens", "in a token", "in the second token", "after a character", "in the first token"],
)
def test_tokens_and_text_are_equal_after_a_stop_string(steps: list[tuple[int, str]], text: str) -> None:
    assert "".join(piece for _, piece in steps) == text
    assert aligned(steps, was_cut=True) == text


def test_all_tokens_are_text_without_a_stop_string() -> None:
    assert aligned([(0, "one"), (2, ""), (3, " three é")], was_cut=False) == "one three é"
