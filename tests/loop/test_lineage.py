"""Lineage the whole way, both ways: judgements, consensus, lessons, a training run, an adapter, a release, a retraction."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.feedback.people import open_feedback_log
from tests.models.published import record_only_model
from tests.models.tiny import byte_level_metadata
from tests.tasks.records import add_answer, record_consensus_run
from tests.training.networks import tiny_decoder
from yearling.errors import BadInput, NotFound
from yearling.evals import TrainingHistory
from yearling.feedback import Edit, FeedbackLog
from yearling.loop import TracedModel, list_traced_models, trace_model, trace_person
from yearling.models import AdapterLibrary, ModelLibrary, PublishedAdapter
from yearling.store import Release, Store, new_release
from yearling.tasks import BuildConfig, LessonSetBuild, build_lesson_set
from yearling.training import ArtefactStores, RunSetup, create_run

BASE = replace(record_only_model(sha256="ab" * 32), source="pypi:base==1#model.gguf")


def install_tiny_model(data_dir: Path) -> None:
    """Install a random network with a real vocabulary, small enough to train in a second."""
    import torch

    from yearling.models.export import export_decoder_gguf

    vocabulary = byte_level_metadata()
    decoder = tiny_decoder(torch.float32, vocab_size=len(vocabulary["tokenizer.ggml.tokens"]))
    path = data_dir / "tiny.gguf"
    export_decoder_gguf(decoder, path, "F32", vocabulary=vocabulary)
    ModelLibrary(data_dir / "models").import_path(path, name="tiny", layout="keep", source="pypi:tiny==1#tiny.gguf")


def build(log: FeedbackLog) -> LessonSetBuild:
    record_consensus_run(log)
    return build_lesson_set(log.store, BuildConfig(heldout_share=0.0))


def release_adapter(store: Store, adapter: PublishedAdapter, built: LessonSetBuild) -> Release:
    draft = new_release(
        created_by="yearling",
        title="learnt 3 corrections",
        kind="adapter",
        model=adapter.served_name("tiny"),
        model_hash=adapter.sha256,
        program_version="0.1.0",
        run_id=adapter.run,
        lesson_set=built.lesson_set.hash,
        consensus=built.lesson_set.manifest["consensus"]["snapshot"],
    )
    return store.releases.create(draft)


@pytest.mark.slow
def test_from_judgements_to_a_release_and_back_after_a_retraction(run_yearling: Run, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with open_feedback_log(data_dir) as log:
        store = log.store
        ann = store.people.add("Ann")
        install_tiny_model(data_dir)
        edits: list[Edit] = [log.add_edit(ann.id, add_answer(log, ann.id, n), f"Better words {n}.") for n in range(3)]
        built = build(log)
        stores = ArtefactStores.from_data_dir(data_dir)
        setup = RunSetup(model="tiny", rank=2, lessons=built.lesson_set.hash)
        create_run(data_dir / "runs" / "first", "dpo", {"steps": 2, "lessons_per_step": 2}, setup, stores, threads=1)
        run_yearling("train", "resume", "first", "--json")
        (adapter,) = AdapterLibrary(data_dir / "adapters").list()
        release = release_adapter(store, adapter, built)

        traced = {model.name: model for model in list_traced_models(
            stores.library.list(), stores.adapters.list(), stores.adapters.get, store.runs
        )}  # fmt: skip
        found = trace_model(store, traced[adapter.served_name("tiny")], stage_of={release.number: "champion"}.__getitem__)
        assert [judgement.id for judgement in found.judgements] == [edit.id for edit in edits]
        assert {judgement.actor for judgement in found.judgements} == {log.pseudonym(ann.id)}
        assert [lessons.hash for lessons in found.lesson_sets] == [built.lesson_set.hash]
        assert found.lesson_sets[0].consensus_snapshot == release.consensus
        assert [(run.id, run.method) for run in found.runs] == [("first", "dpo")]
        assert [(one.number, one.stage, one.is_served) for one in found.releases] == [(release.number, "champion", True)]
        assert (found.withdrawn, found.unknown) == ({}, ())
        assert trace_model(store, traced["tiny"]).judgements == ()

        log.retract(ann.id, edits[1].id)
        after = trace_person(store, ann.id, traced.values(), stage_of=lambda number: "retired")
        (model,) = after.models
        assert (model.num_judgements, model.withdrawn, model.runs) == (3, {"retracted": 1}, ("first",))
        assert [(one.number, one.is_served) for one in model.releases] == [(release.number, False)]
        assert (after.next_lesson_set.version, after.next_lesson_set.withdrawn_in_it) == (1, 1)

        shown = run_yearling("lineage", "--person", "Ann").stdout
        assert f"Released with them all the same: Release {release.number}." in shown
        assert "Lesson set 1 still has 1 of them; the next one is without them." in shown

        following = build(log)
        kept = {event for source in store.lesson_sets.list_sources(following.lesson_set.hash) for event in source.event_ids}
        assert kept == {edits[0].id, edits[2].id}
        plain = json.loads(run_yearling("lineage", adapter.served_name("tiny"), "--json").stdout)
        assert plain["withdrawn"] == {"retracted": 1}
        assert plain["next_lesson_set"] == {"version": 2, "withdrawn_in_it": 0}
        assert "Lesson set 2, which is trained on next, is without them." in run_yearling("lineage", adapter.sha256[:8]).stdout


@dataclass
class LearnedFrom:
    """A store in which a lesson set with one rating each of two people exists, and a model that claims to come from it."""

    log: FeedbackLog
    built: LessonSetBuild
    owner: str
    offered: str

    @property
    def store(self) -> Store:
        return self.log.store

    def traced(self, *, run: str = "", is_complete: bool = True, name: str = "m") -> TracedModel:
        return TracedModel(name, (name,), TrainingHistory({run: 1} if run else {}, is_complete=is_complete))


@pytest.fixture
def learned(tmp_path: Path) -> Iterator[LearnedFrom]:
    with open_feedback_log(tmp_path) as log:
        owner = log.store.people.owner().id
        item = add_answer(log, owner, 1)
        log.rate(owner, item, 1.0)
        log.add_edit(owner, add_answer(log, owner, 2), "Better words.")
        yield LearnedFrom(log, build(log), owner, item)


def test_a_missing_record_is_said_and_not_guessed(learned: LearnedFrom) -> None:
    found = trace_model(learned.store, learned.traced(run="gone", is_complete=False))
    assert found.judgements == ()
    assert found.unknown == (
        "Some weights or adapters behind this model have no record here, so training may be missing.",
        "The run gone has no record here.",
    )
    learned.store.releases.create(
        new_release(
            created_by="yearling", title="t", kind="model", model="m", model_hash="m", program_version="1", lesson_set="ee" * 32
        )
    )
    unknown = trace_model(learned.store, learned.traced()).unknown
    assert "names a lesson set that no known run of the model trained on" in unknown[0]
    assert "The lesson set eeeeeeeeeeee has no record here." in unknown[1]


def test_a_release_whose_model_is_gone_still_counts_for_a_person(learned: LearnedFrom) -> None:
    draft = new_release(
        created_by="yearling", title="t", kind="model", model="old", model_hash="dd" * 32, program_version="1",
        lesson_set=learned.built.lesson_set.hash,
    )  # fmt: skip
    learned.store.releases.create(draft)
    found = trace_person(learned.store, learned.owner, [])
    (model,) = found.models
    assert (model.model, model.num_judgements, model.runs) == ("old", 2, ())
    assert found.num_judgements == 2
    stranger = learned.store.people.add("Bob")
    assert trace_person(learned.store, stranger.id, []).models == ()
    with pytest.raises(NotFound):
        trace_person(learned.store, "nobody", [])


def test_the_command_wants_a_model_or_a_person(run_yearling: Run) -> None:
    with pytest.raises(BadInput, match="either a model or"):
        run_yearling("lineage")
    with pytest.raises(NotFound, match="no model or adapter"):
        run_yearling("lineage", "nothing")
    with pytest.raises(NotFound):
        run_yearling("lineage", "--person", "Nobody")
