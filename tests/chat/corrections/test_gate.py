"""The gate selects entries by similarity; its measured rules belong to an embedding model."""

from __future__ import annotations

import numpy as np
import pytest

from yearling.chat.corrections.gate import SimilarityRule, gate_rules


def _unit(*values: float) -> np.ndarray:
    vector = np.array(values, np.float32)
    return vector / np.linalg.norm(vector)


ENTRIES = np.stack([_unit(1, 0, 0), _unit(1, 1, 0), _unit(0, 0, 1)])


def test_the_most_similar_entry_fires_if_it_reaches_the_threshold() -> None:
    rule = SimilarityRule(threshold=0.9)
    [(row, similarity)] = rule.select(_unit(1, 0.1, 0), ENTRIES)
    assert row == 0
    assert similarity == pytest.approx(0.995, abs=0.001)
    assert rule.select(_unit(1, -1, 1), ENTRIES) == []


def test_no_more_entries_fire_than_the_rule_allows() -> None:
    question = _unit(1, 0.5, 0)
    assert [row for row, _ in SimilarityRule(threshold=0.5, max_entries=2).select(question, ENTRIES)] == [1, 0]
    assert [row for row, _ in SimilarityRule(threshold=0.5, max_entries=9).select(question, ENTRIES)] == [1, 0]
    assert SimilarityRule(threshold=0.5).select(question, np.empty((0, 3), np.float32)) == []


def test_stored_vectors_belong_to_one_embedding_model() -> None:
    rule = SimilarityRule(threshold=0.5)
    keys = {rule.vector_key("a" * 64), rule.vector_key("b" * 64)}
    assert len(keys) == 2
    assert all(len(key) == 64 for key in keys)


def test_every_measured_rule_belongs_to_a_weights_file() -> None:
    for model_hash, rule in gate_rules().items():
        assert len(model_hash) == 64
        assert 0 < rule.threshold < 1
