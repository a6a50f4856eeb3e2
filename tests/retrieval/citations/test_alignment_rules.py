"""The rule belongs to an embedding model."""

from __future__ import annotations

from yearling.inference import FakeEmbedder
from yearling.retrieval.citations.alignment_rules import ALIGNMENT_RULES, WORDS_RULE, alignment_rule


def test_model_that_was_not_measured_decides_nothing() -> None:
    assert alignment_rule(None) is alignment_rule(FakeEmbedder()) is WORDS_RULE
    assert WORDS_RULE.model_hash == ""
    assert WORDS_RULE.min_similarity > 1


def test_rules_name_their_model() -> None:
    embedder = FakeEmbedder()
    for model_hash, rule in ALIGNMENT_RULES.items():
        embedder.model_hash = model_hash
        assert alignment_rule(embedder) is rule
        assert rule.model_hash == model_hash
