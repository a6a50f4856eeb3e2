from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.training.preference_experiment import measure_ranking, read_hh_rlhf, with_hard_labels, with_noisy_labels
from tests.training.test_methods import method
from yearling.errors import BadInput, NotFound
from yearling.tasks import PreferencePair

TALK = "\n\nHuman: Hello\n\nthere\n\nAssistant: Hi.\n\nHuman: Why?\n\nAssistant:"


def pairs(count: int) -> list[PreferencePair]:
    asked = ({"role": "user", "content": "a"},)
    return [PreferencePair(str(number), asked, f"good {number}", f"bad {number}", q=1.0, weight=1.0) for number in range(count)]


def test_dialogues_become_pairs(tmp_path: Path) -> None:
    lines = [
        {"chosen": f"{TALK} Because.\n\nIt is.", "rejected": f"{TALK} No."},
        {"chosen": f"{TALK} Same.", "rejected": f"{TALK} Same."},
        {"chosen": f"{TALK} Well.", "rejected": TALK},
        {"chosen": f"{TALK} Other.", "rejected": f"{TALK} Talk.\n\nHuman: b\n\nAssistant: c"},
    ]
    path = tmp_path / "test.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    (found,) = read_hh_rlhf(path)
    assert found.messages == (
        {"role": "user", "content": "Hello\n\nthere"},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": "Why?"},
    )  # fmt: skip
    assert (found.first, found.second, found.q) == ("Because.\n\nIt is.", "No.", 1.0)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        read_hh_rlhf(tmp_path / "none.jsonl")
    (tmp_path / "odd.jsonl").write_text('{"a": 1}')
    with pytest.raises(BadInput):
        read_hh_rlhf(tmp_path / "odd.jsonl")


def test_noise_flips_one_label_in_five_and_q_says_how_likely() -> None:
    clean = pairs(4000)
    noised = with_noisy_labels(clean, random.Random(1))
    right = [(pair.first.startswith("good")) == (pair.q > 0.5) for pair in noised]
    assert sum(right) / len(right) == pytest.approx(0.8, abs=0.02)
    sure = [max(pair.q, 1 - pair.q) for pair in noised]
    assert 0.6 <= min(sure) <= max(sure) <= 1.0
    # Among labels of about the same q, that share is right.
    among = [ok for ok, value in zip(right, sure, strict=True) if 0.85 < value < 0.95]
    assert sum(among) / len(among) == pytest.approx(0.9, abs=0.03)
    assert sum(pair.first.startswith("good") for pair in noised) / 4000 == pytest.approx(0.5, abs=0.03)


def test_hard_labels_are_the_same_labels() -> None:
    soft = with_noisy_labels(pairs(50), random.Random(2))
    for left, right in zip(soft, with_hard_labels(soft), strict=True):
        assert right.q in (0.0, 1.0)
        assert (left.q > 0.5) == (right.q > 0.5)


def test_the_exam_counts_what_is_ranked_right() -> None:
    """The base ties with itself; after learning the very pairs, the implicit reward ranks them better than before."""
    exam: Any = method("dpo", trained=False, count=16, learning_rate=1e-2)
    exam.table.q[:] = [1.0] * len(exam.table.q)
    before = measure_ranking(exam)
    count = len(exam.table.train_indices)  # all but the few that validation keeps
    assert (before.pairs, before.by_reward) == (count, 0.5)
    with torch.no_grad():
        reference = exam.references
        sums = [[float(reference.get(2 * pair + side).sum()) for side in (0, 1)] for pair in exam.table.train_indices]
    assert before.by_logprob == sum(left > right for left, right in sums) / count
    for number in range(1, exam.total_steps + 1):
        exam.step(number)
    assert measure_ranking(exam).by_reward > 0.8
