"""The gate selects entries by similarity; its measured rules belong to an embedding model."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest

from yearling.chat.corrections import gate as gate_module
from yearling.chat.corrections.gate import SimilarityRule, gate_rules, generic_questions, generic_vectors
from yearling.config import Settings
from yearling.inference import EnginePool
from yearling.models import ModelLibrary, known_models

CASES = Path(__file__).with_name("chinese_cases.jsonl")


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


def test_the_threshold_depends_on_the_script_of_the_question() -> None:
    rule = SimilarityRule(threshold=0.5, han_threshold=0.99)
    question = _unit(1, 0.3, 0)
    assert rule.select(question, ENTRIES, text="Who?")
    assert rule.select(question, ENTRIES, text="谁？") == []


def test_a_question_that_everybody_asks_counts_against_an_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate_module, "generic_vectors", lambda name: np.stack([_unit(1, 0.1, 0), _unit(0, 1, 0)]))
    rule = SimilarityRule(threshold=0.45, contrast=0.5, generic="any")
    for question, expected, expected_score in ((_unit(0, 0, 1), 2, 1.0), (_unit(1, 0.1, 0), 0, 0.5)):
        [(row, score)] = rule.select(question, ENTRIES)
        assert row == expected
        assert score == pytest.approx(expected_score, abs=0.01)
    assert SimilarityRule(threshold=0.55, contrast=0.5, generic="any").select(_unit(1, 0.1, 0), ENTRIES) == []


def test_words_decide_between_similar_entries() -> None:
    entries = np.stack([_unit(1, 0.2, 0), _unit(1, 0.3, 0)])
    texts = [("Which room has the projector?", "Juniper."), ("Which room has the whiteboard?", "Cedar.")]
    question, text = _unit(1, 0.2, 0), "Which room has the whiteboard?"
    assert [row for row, _ in SimilarityRule(threshold=0.5).select(question, entries, text=text, entry_texts=texts)] == [0]
    rule = SimilarityRule(threshold=0.5, frame_swap=0.1)
    assert [row for row, _ in rule.select(question, entries, text=text, entry_texts=texts)] == [1]
    other_type = SimilarityRule(threshold=0.95, other_type=0.2)
    assert other_type.select(question, entries[:1], text="Who founded Norvale?", entry_texts=texts[:1]) == []
    assert other_type.select(question, entries[:1], text="Where is the projector?", entry_texts=texts[:1])


def test_every_measured_rule_belongs_to_a_weights_file() -> None:
    assert known_models()["multilingual-e5-small"].sha256 in gate_rules()
    for model_hash, rule in gate_rules().items():
        assert len(model_hash) == 64
        assert 0 < rule.threshold < 1
        assert rule.han_threshold is not None
        assert generic_vectors(rule.generic).shape == (len(generic_questions()), 384)
        assert np.allclose(np.linalg.norm(generic_vectors(rule.generic), axis=1), 1, atol=1e-3)


@pytest.mark.slow
def test_the_published_model_and_the_measured_rule_tell_cases_apart(model_library: ModelLibrary) -> None:
    """Every fourth Chinese case and two English ones: a question in other words fires, unrelated questions do not."""
    lines = [json.loads(line) for line in CASES.read_text(encoding="utf-8").splitlines()]
    cases = [line for line in lines if "question" in line][::4]
    unrelated = [line["unrelated"] for line in lines if "unrelated" in line][:8]
    unrelated += ["What is a volcano?", "Tell me a joke."]
    english = [
        ("Who handles invoices at our company?", "Marta handles invoices at our company.", "Whose job are invoices here?"),
        ("What does TRK mean at our company?", "TRK means Temporary Repair Kit.", "What do the letters TRK stand for?"),
    ]
    stored = [(case["question"], case["answer"]) for case in cases] + [entry[:2] for entry in english]
    asked = [case["paraphrases"][0] for case in cases] + [entry[2] for entry in english]

    async def decide() -> list[list[int]]:
        pool = EnginePool(Settings(), model_library)
        model_library.pull("multilingual-e5-small")
        embedder = await pool.get_embedder()
        rule = gate_rules()[embedder.model_hash]
        entries = await rule.embed_entries(stored, embedder)
        questions = [*asked, *unrelated]
        vectors = await embedder.embed_texts(questions)
        generic = await embedder.embed_texts(generic_questions()[::40], input_type="passage")
        assert np.allclose(generic, generic_vectors(rule.generic)[::40], atol=2e-3), (
            "the questions changed: measure the gate anew"
        )
        await pool.close()
        return [
            [row for row, _ in rule.select(vector, entries, text=text, entry_texts=stored)]
            for text, vector in zip(questions, vectors, strict=True)
        ]

    decided = asyncio.run(decide())
    assert sum(rows == [row] for row, rows in enumerate(decided[: len(stored)])) >= len(stored) - 1
    assert sum(map(bool, decided[len(stored) :])) <= 1
