"""Example records, and a way to compare complete stores."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from yearling.clock import new_id, now_utc
from yearling.config import Settings
from yearling.records import Sample, SamplingSettings
from yearling.store import (
    ExamRun,
    GradedSample,
    OfferRecord,
    RoundAnswer,
    RoundQuestion,
    SpecOutput,
    Store,
    make_text,
)
from yearling.store.database.schema import metadata


def make_settings(data_dir: Path, database_url: str = "", **values: Any) -> Settings:
    return Settings(data_dir=data_dir, database_url=database_url, **values)


def make_sample(person_id: str, **changes: Any) -> Sample:
    """A sample with a value in every field. Calls with the same changes differ in id and time only."""
    values: dict[str, Any] = {
        "id": new_id(),
        "request_id": "request-1",
        "person_id": person_id,
        "created_utc": now_utc(),
        "model": "tiny",
        "model_hash": "ab" * 32,
        "adapter_hash": "cd" * 32,
        "engine": "fake",
        "spec_version": "1",
        "messages": (
            {"role": "system", "content": "Be kind."},
            {"role": "user", "name": "z", "content": [{"type": "text", "text": "Hé"}]},
        ),
        "prompt_ids": (1, 2, 49151, 2**31 - 1, 0),
        "output_ids": (7, 8, 9),
        "logprobs": (-0.1, -2.5, 0.0),
        "output_text": "Grüezi 你好 🐣",
        "finish_reason": "stop",
        "sampling": SamplingSettings(
            temperature=0.7, top_p=0.9, top_k=40, logit_bias=((5, -1.5), (6, 2.0)), max_tokens=64, stop=("\n\n", "END"), seed=11
        ),
        "prompt_tokens": 5,
        "completion_tokens": 3,
        "duration_s": 0.125,
        "grammar": '{"type":"object"}',
        "choice": 1,
    }
    return Sample(**{**values, **changes})


def make_event(event_id: str, **fields: Any) -> dict[str, Any]:
    """An event as the log stores it."""
    return {"id": event_id, "kind": "rating", "item": "é \x00", "value": 0.5, **fields}


def fill(store: Store, *, seed: int = 1) -> None:
    """Store records of every kind for two people."""
    rng = random.Random(seed)
    guest = store.people.add(f"guest {seed} é 你")
    for person in (store.people.owner(), guest):
        conversation = store.conversations.create(person.id, "A title")
        parent = None
        for turn in range(4):
            sample = make_sample(
                person.id, logprobs=tuple(rng.uniform(-9, 0) for _ in range(3)), output_text=f"answer \x00 {turn} \U0010fffd"
            )
            store.samples.add(sample)
            message = store.conversations.add_message(
                conversation.id,
                person_id=person.id,
                role="assistant" if turn % 2 else "user",
                content=f"words {turn} \x00 \udfff",
                parent_id=parent,
                sample_id=sample.id if turn % 2 else None,
            )
            parent = message.id
        _fill_chat_records(store, person.id, conversation.id)
        items = [{"id": f"msg_{number}", "type": "message", "content": "words \x00 é"} for number in range(2)]
        store.api_conversations.create(person.id, metadata={"a": "é"}, new_items=items)
        sha256 = store.blobs.put(rng.randbytes(5000))
        store.blobs.add_reference(sha256, "document", conversation.id)
        store.audit.append(person.name, "test.fill", conversation.id, {"z": 1, "a": ["é", 0.1, None]})
        store.texts.add([make_text(conversation.id, "note", {"text": f"{person.name} \x00 words"}, person_id=person.id)])
        _fill_offers(store, person.id)
        store.events.append([make_event(f"{seed}-{person.id}-{number}", actor=person.id) for number in range(3)])
        _fill_round(store, person.id)
    _fill_spec_run(store)
    _fill_exam(store)
    store.secrets.get_or_create("test")
    newest, head = store.consensus_runs.get_newest(), store.events.head()
    store.consensus_runs.record(
        f"outcome {seed}".encode(),
        [make_event(f"{seed}-change", kind="status_change")],
        previous_sequence=newest.sequence if newest else 0,
        up_to=head.sequence,
        head=head.hash,
        code_hash="ab" * 32,
        parameters={"x": 0.1},
        parameters_hash="cd" * 32,
        duration_s=0.25,
    )


def _fill_chat_records(store: Store, person_id: str, conversation_id: str) -> None:
    """Store a folder, share links, a comparison, a memory, corrections, guesses, a mode and settings."""
    folder = store.folders.create(person_id, f"é \x00 {conversation_id}")
    store.conversations.update(conversation_id, person_id=person_id, folder_id=folder.id)
    store.shares.create(conversation_id, person_id=person_id)
    store.shares.revoke(store.shares.create(conversation_id, person_id=person_id).id, person_id=person_id)
    first, *_, last = store.conversations.list_messages(conversation_id, person_id=person_id)
    store.comparisons.add(
        person_id=person_id,
        conversation_id=conversation_id,
        question_id=first.id,
        left_id=last.id,
        right_id=last.id,
        offered=True,
    )
    store.memories.add_extracted(person_id, first.id, [("I like \udfff", "")])
    for answer in ("6 \x00", "7 \udfff"):
        added = store.corrections.add(person_id, "Why é \udfff?", answer, origin="edit", message_id=last.id, event_id="judgement")
    store.corrections.set_vectors("ab" * 32, {added.correction.id: b"\0\0\x80?" * 3})
    store.guesses.add_for_item(person_id, f"item {last.id}", "helpful")
    store.guesses.add_for_pair(person_id, f"item {last.id}", f"item {first.id}", "left")
    store.modes.define("pirate", "é", "Arr \x00", actor=person_id)
    store.personal_settings.update(person_id, {"instructions": "é \x00"})


def _fill_offers(store: Store, person_id: str) -> None:
    """Offer two answers, and withdraw one."""
    for sample in store.samples.list(person_id, limit=2):
        offer_sample(store, person_id, sample.id)
    store.offers.withdraw(store.offers.list(person_id)[0].id, person_id=person_id)


def offer_sample(
    store: Store, person_id: str, sample_id: str, *, edited: bool = False, answer: str = "words \x00 é"
) -> OfferRecord:
    content = {"messages": [{"role": "user", "content": "é?"}], "text": answer}
    text = make_text(new_id(), "offer", content, person_id=person_id)
    return store.offers.add(text, person_id=person_id, sample_id=sample_id, edited=edited)


def make_round_answers(person_id: str, *, wanted: str = "") -> tuple[RoundAnswer, RoundAnswer]:
    """The two answers to a question: of a model and, if there is a wanted answer, of a person."""
    first, second = make_sample(person_id), make_sample(person_id)
    content: dict[str, Any] = {"messages": [dict(message) for message in first.messages], "text": f"Answer {first.id} \x00"}
    left = RoundAnswer(text=make_text(first.id, "answer", content), sample=first)
    if wanted:
        return left, RoundAnswer(text=make_text(new_id(), "answer", {**content, "text": wanted}, person_id=person_id))
    return left, RoundAnswer(text=make_text(second.id, "answer", {**content, "text": "Other"}), sample=second)


def _fill_round(store: Store, person_id: str) -> None:
    questions = [RoundQuestion(question="Why \x00 é?", wanted="So \udfff"), RoundQuestion(question="2", wanted="3")]
    made = store.rounds.create(person_id, title="é \x00", questions=questions, people_per_pair=3, method="wanted")
    ready, failed = store.rounds.pairs([made.id])
    store.rounds.begin_attempt(ready.id)
    store.rounds.record_answers(ready.id, *make_round_answers(person_id, wanted="So \udfff"))
    store.rounds.record_failure(failed.id, "It \x00 failed.")
    store.rounds.close(made.id, actor=person_id)


def _fill_spec_run(store: Store) -> None:
    output = SpecOutput(
        clause="calibrated",
        case_id="truth.idk.001",
        twin=1,
        draw=0,
        messages=({"role": "user", "content": "é?"},),
        output_text="words \x00 \udfff",
        label="confident_wrong",
        evidence="1648",
        score=-2.0,
        triage="bug",
    )
    run = store.spec_runs.add(
        [output],
        model="tiny",
        model_hash="ab" * 32,
        spec_version="1",
        cases_hash="cd" * 32,
        settings={"n": 1},
        summary={"a": 0.5},
    )
    store.spec_runs.add_dispute(store.spec_runs.list_outputs(run.id)[0].id, store.people.owner().id, "gap", "é \x00")


def make_graded(key: str = "case 1", draw: int = 0, **changes: Any) -> GradedSample:
    """A graded answer with text that is hard to store."""
    values: dict[str, Any] = {
        "case_key": key,
        "draw": draw,
        "cluster": key,
        "part": "é",
        "messages": ({"role": "user", "content": "words \x00 \ud800"},),
        "prompt_ids": (1, 2, 3),
        "output_ids": (4, 5),
        "logprobs": (-0.1, -0.25),
        "output_text": "answer \x00 \udfff",
        "finish_reason": "stop",
        "sampling": {"temperature": 0.0},
        "seed": 2**31 - 1,
        "model_hash": "ab" * 32,
        "grader": "match@1",
        "score": 0.5,
        "label": "wrong",
        "verdict": {"score": 0.5, "detail": {"é": ["\x00", None]}},
        "error": "",
        "prompt_tokens": 3,
        "completion_tokens": 2,
        "duration_s": 0.25,
    }
    return GradedSample(**{**values, **changes})


def start_exam(store: Store, *, num_samples: int = 2, seed: int = 0) -> ExamRun:
    """An open run of an exam."""
    return store.exams.start_run(
        exam="letters",
        exam_hash="ef" * 32,
        subject="engine",
        model="tiny",
        model_hash="ab" * 32,
        grader="match@1",
        seed=seed,
        num_samples=num_samples,
        settings={"samples": 1},
    )


def _fill_exam(store: Store) -> None:
    run = start_exam(store)
    store.exams.add_samples(run.id, [make_graded("case 1"), make_graded("case 2")])
    store.exams.finish_run(run.id, {"score": 0.5})
    store.gates.record(champion="ab", challenger="cd", decision="ALLOW", body={"é": 1}, actor="test")


def dump(store: Store) -> dict[str, Any]:
    """All contents of a store in a form that is the same on both databases: rows as tuples, blobs by the hash of their bytes."""
    with store.database.read() as connection:
        rows = {
            table.name: [tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key.columns))]
            for table in metadata.sorted_tables
        }
    # Postgres prints a tsvector with quotes and in its own order.
    words = metadata.tables["search_entries"].columns.keys().index("words")
    rows["search_entries"] = [
        (*row[:words], sorted(row[words].replace("'", "").split()), *row[words + 1 :]) for row in rows["search_entries"]
    ]
    blobs = {sha256: hashlib.sha256(store.blobs.path(sha256).read_bytes()).hexdigest() for sha256, _ in store.blobs.iter_sizes()}
    return {**rows, "blobs": blobs}
