"""Model cards count training data through runs, lesson sets, adapters and merges, and contain no name or id of a person."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.evals.sample_exams import make_exam, wrong_on
from tests.feedback.people import open_feedback_log
from tests.models.published import record_only_model
from tests.tasks.records import add_answer, add_members, record_consensus_run
from yearling.errors import NotFound
from yearling.evals import (
    EngineSubject,
    TrainingHistory,
    build_model_card,
    render_model_card_markdown,
    render_model_card_page,
    run_exam,
)
from yearling.loop import find_training_history
from yearling.models import LocalModel, PublishedAdapter
from yearling.store import Store
from yearling.tasks import BuildConfig, build_lesson_set
from yearling.training import RunFolder

BASE = replace(record_only_model(sha256="ab" * 32), source="pypi:base==1#model.gguf")


def make_run(store: Store, name: str, *, lessons: str = "", base: str = BASE.sha256, **setup: object) -> RunFolder:
    """A run folder as training writes it; its command line names a home folder."""
    command = ["yearling", "train", "dpo", "--data-dir", "/home/zoequux"]
    model = {"name": "base", "sha256": base}
    folder = store.runs.folder / name
    return RunFolder.create(
        folder, {}, method="dpo", seed=1, lesson_set=lessons, model=model, command=command, setup=setup, threads=1
    )


async def test_card_counts_training_data_and_names_nobody(tmp_path: Path) -> None:
    with open_feedback_log(tmp_path) as log:
        ann, bob = add_members(log, 2)
        store, item = log.store, add_answer(log, ann.id, 1)
        judgements = [
            log.rate(ann.id, item, 1.0),
            log.add_edit(ann.id, item, "Better words."),
            log.rate(bob.id, add_answer(log, bob.id, 2), 1.0),
        ]
        record_consensus_run(log)
        built = build_lesson_set(store, BuildConfig(heldout_share=0.0))
        keys = [lesson.key for lesson in built.lesson_set.lessons()]
        kinds = built.lesson_set.manifest["counts"]["train"]
        make_run(store, "0190-one", lessons=built.lesson_set.hash)
        make_run(store, "0190-two", lessons=built.lesson_set.hash, environments=["running_totals"])
        await run_exam(make_exam(12), EngineSubject(wrong_on(1)), store)
        store.gates.record(
            champion="c", challenger=EngineSubject(wrong_on(1)).model_hash, decision="REJECT", body={}, actor=ann.name
        )
        card = build_model_card(
            store,
            "tiny",
            EngineSubject(wrong_on(1)).model_hash,
            facts={"Licence": "Apache-2.0"},
            training=TrainingHistory({"0190-one": 30, "0190-two": 12}, is_complete=True),
        )
    assert card.training_counts == {
        "Training runs": 2,
        "Training steps": 42,
        "Lesson sets": 1,
        "Demonstrations": kinds["demonstration"],
        "Preference pairs": kinds["pair"],
        "Thumbs": kinds["thumb"],
        "Human judgements behind the lessons": 3,
        "Task environments": 1,
    }
    assert len(card.worst) == 10
    for text in (render_model_card_markdown(card), render_model_card_page(card)):
        assert "REJECT" in text or text.startswith("#")
        assert "Demonstrations" in text
        for secret in (ann.id, bob.id, ann.name, bob.name, log.pseudonym(ann.id), *(event.id for event in judgements), *keys):
            assert secret not in text
        for secret in ("Better words.", "zoequux", built.lesson_set.hash, "0190-one"):
            assert secret not in text


def test_card_says_whether_the_training_history_is_complete(tmp_path: Path) -> None:
    with open_feedback_log(tmp_path) as log:
        make_run(log.store, "0190-one", lessons="ef" * 32)
        for training in (
            TrainingHistory({"0190-one": 3}, is_complete=True),
            TrainingHistory({"gone": 3}, is_complete=True),
            TrainingHistory({}, is_complete=False),
        ):
            card = build_model_card(log.store, "m", "h", facts={}, training=training)
            assert "training history of these weights is incomplete" in render_model_card_markdown(card)
        known = build_model_card(log.store, "m", "h", facts={}, training=TrainingHistory({}, is_complete=True))
        assert "training history of these weights is incomplete" not in render_model_card_markdown(known)


def adapter(sha256: str, run: str, step: int) -> PublishedAdapter:
    return PublishedAdapter(
        sha256=sha256, folder=Path(), base="base", base_sha256=BASE.sha256, base_source_sha256="", rank=4, alpha=8.0,
        num_parameters=1, size_bytes=1, run=run, step=step, created_utc=datetime(2026, 1, 1, tzinfo=UTC), files={},
    )  # fmt: skip


def test_lineage_follows_adapters_merges_and_bases(tmp_path: Path) -> None:
    merged = replace(BASE, name="merged", sha256="cd" * 32, source=f"merge:{BASE.sha256}+first")
    trained = replace(BASE, name="trained", sha256="12" * 32, source=f"run:0190-three@7+{merged.sha256}")
    foreign = replace(BASE, name="foreign", sha256="34" * 32, source="file:/home/zoequux/model.gguf")
    orphan = replace(BASE, name="orphan", sha256="56" * 32, source=f"merge:{'99' * 32}+first")
    installed = [BASE, merged, trained, foreign, orphan]
    adapters = {"first": adapter("first", "0190-one", 5), "second": adapter("second", "0190-two", 9)}

    def adapter_of(name: str) -> PublishedAdapter:
        if name not in adapters:
            raise NotFound(f"There is no adapter {name}.")
        return adapters[name]

    with open_feedback_log(tmp_path) as log:
        store = log.store
        make_run(store, "0190-one")
        make_run(store, "0190-two", adapter="first")
        make_run(store, "0190-three", base=merged.sha256)

        def lineage(model: LocalModel, adapter_name: str = "") -> TrainingHistory:
            return find_training_history(model, adapters.get(adapter_name), installed, adapter_of, store.runs)

        assert lineage(BASE) == TrainingHistory({}, is_complete=True)
        assert lineage(BASE, "second") == TrainingHistory({"0190-two": 9, "0190-one": 5}, is_complete=True)
        assert lineage(merged) == TrainingHistory({"0190-one": 5}, is_complete=True)
        assert lineage(trained) == TrainingHistory({"0190-three": 7, "0190-one": 5}, is_complete=True)
        assert not lineage(foreign).is_complete
        assert lineage(orphan) == TrainingHistory({"0190-one": 5}, is_complete=False)


@pytest.mark.parametrize("path", ["/home/zoequux/model.gguf"])
def test_card_hides_the_path_of_an_imported_file(path: str) -> None:
    from yearling.cli.exam_card import _model_facts

    assert "zoequux" not in str(_model_facts(replace(BASE, source=f"file:{path}"), None))
