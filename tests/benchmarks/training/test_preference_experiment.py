from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch

from benchmarks.training.preference_experiment import (
    measure_ranking,
    read_hh_rlhf,
    with_hard_labels,
    with_noisy_labels,
)
from tests.training.offline_methods import make_dpo
from yearling.errors import BadInput, NotFound
from yearling.tasks import PreferencePair

DIALOGUE = "\n\nHuman: Hello\n\nthere\n\nAssistant: Hi.\n\nHuman: Why?\n\nAssistant:"


def clean_pairs(count: int) -> list[PreferencePair]:
    messages = ({"role": "user", "content": "a"},)
    return [PreferencePair(str(index), messages, f"good {index}", f"bad {index}", q=1.0, weight=1.0) for index in range(count)]


def test_read_hh_rlhf_keeps_dialogues_that_differ_in_the_last_answer_only(tmp_path: Path) -> None:
    lines = [
        {"chosen": f"{DIALOGUE} Because.\n\nIt is.", "rejected": f"{DIALOGUE} No."},
        {"chosen": f"{DIALOGUE} Same.", "rejected": f"{DIALOGUE} Same."},
        {"chosen": f"{DIALOGUE} Well.", "rejected": DIALOGUE},
        {"chosen": f"{DIALOGUE} Other.", "rejected": f"{DIALOGUE} Talk.\n\nHuman: b\n\nAssistant: c"},
    ]
    path = tmp_path / "test.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    (pair,) = read_hh_rlhf(path)
    assert pair.messages == (
        {"role": "user", "content": "Hello\n\nthere"},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": "Why?"},
    )
    assert (pair.first, pair.second, pair.q) == ("Because.\n\nIt is.", "No.", 1.0)


def test_read_hh_rlhf_raises_for_missing_and_other_files(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        read_hh_rlhf(tmp_path / "none.jsonl")
    (tmp_path / "odd.jsonl").write_text('{"a": 1}')
    with pytest.raises(BadInput):
        read_hh_rlhf(tmp_path / "odd.jsonl")


def test_noise_flips_one_label_in_five_and_q_is_the_probability_of_the_label() -> None:
    noisy = with_noisy_labels(clean_pairs(4000), random.Random(1))
    is_correct = [pair.first.startswith("good") == (pair.q > 0.5) for pair in noisy]
    assert sum(is_correct) / len(is_correct) == pytest.approx(0.8, abs=0.02)
    certainties = [max(pair.q, 1 - pair.q) for pair in noisy]
    assert 0.6 <= min(certainties) <= max(certainties) <= 1.0
    # Of the labels with about the same certainty, that share is correct.
    of_similar_certainty = [
        correct for correct, certainty in zip(is_correct, certainties, strict=True) if 0.85 < certainty < 0.95
    ]
    assert sum(of_similar_certainty) / len(of_similar_certainty) == pytest.approx(0.9, abs=0.03)
    assert sum(pair.first.startswith("good") for pair in noisy) / 4000 == pytest.approx(0.5, abs=0.03)


def test_hard_labels_prefer_the_same_answers_with_certainty() -> None:
    soft = with_noisy_labels(clean_pairs(50), random.Random(2))
    for soft_pair, hard_pair in zip(soft, with_hard_labels(soft), strict=True):
        assert hard_pair.q in (0.0, 1.0)
        assert (soft_pair.q > 0.5) == (hard_pair.q > 0.5)


def test_measure_ranking_counts_correctly_ranked_pairs() -> None:
    """The base ties with itself. After training on the same pairs, the implicit reward ranks them better."""
    method = make_dpo(trained=False, count=16, learning_rate=1e-2)
    method.table.q[:] = [1.0] * len(method.table.q)
    before = measure_ranking(method)
    count = len(method.split.train_indices)
    assert (before.pairs, before.by_reward) == (count, 0.5)
    with torch.no_grad():
        sums = [[float(method.references.get(2 * pair + side).sum()) for side in (0, 1)] for pair in method.split.train_indices]
    assert before.by_logprob == sum(first > second for first, second in sums) / count
    for number in range(1, method.total_steps + 1):
        method.step(number)
    assert measure_ranking(method).by_reward > 0.8
