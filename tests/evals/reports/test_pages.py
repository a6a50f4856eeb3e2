"""Pages and cards: complete, escaped and self-contained."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.evals.sample_exams import make_exam, wrong_on
from yearling.config import Settings
from yearling.evals import (
    EngineSubject,
    TrainingHistory,
    build_model_card,
    compare_runs,
    comparison_to_json,
    render_comparison_page,
    render_model_card_markdown,
    render_model_card_page,
    render_run_page,
    run_exam,
)
from yearling.inference import FakeEngine, fake_served_model
from yearling.store import Store

EVIL = '<script>alert(1)</script><img src="http://evil.example/x">'


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.open(Settings(data_dir=tmp_path)) as opened:
        yield opened


def assert_self_contained(html: str) -> None:
    assert "<script" not in html
    assert "<img" not in html
    tags = re.findall(r"<[^>]*>", html)
    assert not [tag for tag in tags if re.search(r"\s(src|href)\s*=|//|url\(", tag)]


async def test_run_page_shows_the_worst_answers_escaped(store: Store) -> None:
    served = fake_served_model(engine=FakeEngine([EVIL]))
    run = await run_exam(make_exam(3, title=EVIL), EngineSubject(served), store)
    html = render_run_page(run, store.exams.list_lowest_scoring(run.id))
    assert "&lt;script&gt;alert(1)" in html
    assert "The 3 worst answers" in html
    assert_self_contained(html)


async def test_comparison_page_and_json_show_the_same_difference(store: Store) -> None:
    exam = make_exam(30)
    champion = await run_exam(exam, EngineSubject(wrong_on(1, 2, 3)), store)
    challenger = await run_exam(exam, EngineSubject(wrong_on(4)), store)
    comparison = compare_runs(store, champion.id, challenger.id)
    body = comparison_to_json(comparison)
    assert [pair["key"] for pair in body["won"]] == ["case 1", "case 2", "case 3"]
    assert [pair["key"] for pair in body["lost"]] == ["case 4"]
    html = render_comparison_page(comparison)
    assert "Difference +0.067" in html
    assert_self_contained(html)


async def test_model_card_has_every_exam_and_its_limits(store: Store) -> None:
    subject = EngineSubject(wrong_on(1))
    await run_exam(make_exam(4), subject, store, fresh=True)
    newest = await run_exam(make_exam(4, samples_per_case=2), subject, store)
    assert [sample.case_key for sample in store.exams.list_lowest_scoring(newest.id, 2)] == ["case 1", "case 0"], "each case once"
    card = build_model_card(
        store, "tiny", subject.model_hash, facts={"Licence": "Apache-2.0"}, training=TrainingHistory({}, is_complete=True)
    )
    assert [run.id for run in card.runs] == [newest.id]
    assert card.worst[0][1].case_key == "case 1"
    text, html = render_model_card_markdown(card), render_model_card_page(card)
    for part in ("Apache-2.0", "There is no record of training here.", "numbers", "Known limits", "Say 1!"):
        assert part in text
        assert part in html or part == "numbers"
    assert_self_contained(html)
    empty = build_model_card(store, "other", "unknown", facts={}, training=TrainingHistory({}, is_complete=False))
    assert "The model has taken no exams here." in render_model_card_markdown(empty)
    assert "training history of these weights is incomplete" in render_model_card_markdown(empty)
