"""Pages and cards: complete, escaped, standing alone."""

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


def stands_alone(html: str) -> None:
    assert "<script" not in html
    assert "<img" not in html
    tags = re.findall(r"<[^>]*>", html)
    assert not [tag for tag in tags if re.search(r"\s(src|href)\s*=|//|url\(", tag)]


async def test_a_run_page_shows_the_worst_verbatim_and_nothing_of_it_is_markup(store: Store) -> None:
    served = fake_served_model(engine=FakeEngine([EVIL]))
    run = await run_exam(make_exam(3, title=EVIL), EngineSubject(served), store)
    html = render_run_page(run, store.exams.list_lowest_scoring(run.id))
    assert "&lt;script&gt;alert(1)" in html
    assert "The 3 worst answers" in html
    stands_alone(html)


async def test_a_comparison_page_and_its_facts(store: Store) -> None:
    exam = make_exam(30)
    old = await run_exam(exam, EngineSubject(wrong_on(1, 2, 3)), store)
    new = await run_exam(exam, EngineSubject(wrong_on(4)), store)
    found = compare_runs(store, old.id, new.id)
    facts = comparison_to_json(found)
    assert [pair["key"] for pair in facts["won"]] == ["case 1", "case 2", "case 3"]
    assert [pair["key"] for pair in facts["lost"]] == ["case 4"]
    html = render_comparison_page(found)
    assert "Difference +0.067" in html
    stands_alone(html)


async def test_a_card_has_every_exam_and_its_limits(store: Store) -> None:
    subject = EngineSubject(wrong_on(1))
    await run_exam(make_exam(4), subject, store, fresh=True)
    newest = await run_exam(make_exam(4, samples_per_case=2), subject, store)
    assert [one.case_key for one in store.exams.list_lowest_scoring(newest.id, 2)] == ["case 1", "case 0"], "each case once"
    card = build_model_card(
        store, "tiny", subject.model_hash, facts={"Licence": "Apache-2.0"}, training=TrainingHistory({}, is_complete=True)
    )
    assert [run.id for run in card.runs] == [newest.id]
    assert card.worst[0][1].case_key == "case 1"
    text, html = render_model_card_markdown(card), render_model_card_page(card)
    for said in ("Apache-2.0", "Nothing of which there is a record", "numbers", "Known limits", "Say 1!"):
        assert said in text
        assert said in html or said == "numbers"
    stands_alone(html)
    empty = build_model_card(store, "other", "unknown", facts={}, training=TrainingHistory({}, is_complete=False))
    assert "It has sat no exam here." in render_model_card_markdown(empty)
    assert "not wholly known here" in render_model_card_markdown(empty)
