"""Samples: round trips, ownership, retention and deletion."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.store.examples import make_sample, make_settings
from yearling.clock import now_utc
from yearling.config import Settings
from yearling.errors import BadInput, Conflict, NotFound
from yearling.models import PublishedAdapter
from yearling.records import Person, SamplingSettings
from yearling.store import Store, answering_model_hash


@pytest.fixture
def ada(store: Store) -> Person:
    return store.people.add("Ada")


def test_sample_round_trips(store: Store, ada: Person) -> None:
    sample = make_sample(ada.id)
    assert store.samples.add(sample)
    assert store.samples.get(sample.id, person_id=ada.id) == sample


@pytest.mark.parametrize(
    "changes",
    [
        {"prompt_ids": (), "output_ids": (), "logprobs": (), "adapter_hash": None, "grammar": ""},
        {"output_ids": (), "logprobs": (-1.0, -2.0)},  # an engine that reports log-probabilities but no ids
        {"logprobs": (float.fromhex("-0x1.99999ap-4"), -math.inf, -1.5)},
        {"logprobs": ()},
        {"messages": ()},
        {"messages": ({"role": "tool", "z": {"b": 1, "a": [None, True, 0.1, "\0\ud800"]}},)},
        {"output_text": "\0\ud800\U0010fffd\n"},
        {"created_utc": datetime(1, 1, 1, tzinfo=UTC)},
        {"created_utc": datetime(2026, 3, 29, 2, 30, 0, 1, tzinfo=UTC)},
        {"sampling": SamplingSettings()},
        {"finish_reason": "tool_calls", "duration_s": 0.0},
    ],
)
def test_unusual_values_round_trip(store: Store, ada: Person, changes: dict[str, object]) -> None:
    sample = make_sample(ada.id, **changes)
    store.samples.add(sample)
    assert store.samples.get(sample.id, person_id=ada.id) == sample


def test_key_order_of_messages_is_kept(store: Store, ada: Person) -> None:
    sample = make_sample(ada.id, messages=({"zeta": 1, "alpha": {"y": 1, "x": 2}},))
    store.samples.add(sample)
    message = store.samples.get(sample.id, person_id=ada.id).messages[0]
    assert (list(message), list(message["alpha"])) == (["zeta", "alpha"], ["y", "x"])


def test_samples_are_listed_newest_first_in_pages(store: Store, ada: Person) -> None:
    batch = [make_sample(ada.id) for _ in range(5)]
    assert store.samples.add_many(batch) == 5
    first = store.samples.list(ada.id, 2)
    rest = store.samples.list(ada.id, before=first[-1].id)
    assert [*first, *rest] == batch[::-1]


def test_sample_of_another_person_is_not_found(store: Store, ada: Person) -> None:
    sample = make_sample(ada.id)
    store.samples.add(sample)
    bob = store.people.add("Bob")
    with pytest.raises(NotFound):
        store.samples.get(sample.id, person_id=bob.id)
    with pytest.raises(NotFound):
        store.samples.delete(sample.id, person_id=bob.id)
    assert store.samples.list(bob.id) == []
    assert (store.samples.count(bob.id), store.samples.count(ada.id), store.samples.count()) == (0, 1, 1)


def test_batch_is_stored_completely_or_not_at_all(store: Store, ada: Person) -> None:
    with pytest.raises(NotFound, match="nobody"):
        store.samples.add_many([make_sample(ada.id), make_sample("nobody")])
    assert store.samples.count() == 0


def test_sample_id_in_use_is_refused(store: Store, ada: Person) -> None:
    sample = make_sample(ada.id)
    store.samples.add(sample)
    with pytest.raises(Conflict, match=sample.id):
        store.samples.add(replace(sample, output_text="other"))
    twin = make_sample(ada.id)
    with pytest.raises(Conflict, match=twin.id):
        store.samples.add_many([twin, twin])
    assert store.samples.list(ada.id) == [sample]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"logprobs": (-1.0,)}, ValueError),
        ({"output_ids": (-1,), "logprobs": ()}, ValueError),
        ({"duration_s": math.nan}, ValueError),
        ({"created_utc": datetime(2026, 1, 1)}, ValueError),
        ({"messages": ({"content": math.inf},)}, BadInput),
    ],
)
def test_inconsistent_sample_is_refused(store: Store, ada: Person, changes: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(Exception) as refused:
        store.samples.add(make_sample(ada.id, **changes))
    assert isinstance(refused.value, error) or isinstance(refused.value.__cause__, error)
    assert store.samples.count() == 0


def test_invalid_sample_does_not_affect_the_others(store: Store, ada: Person) -> None:
    batch = [make_sample(ada.id), make_sample("nobody"), make_sample(ada.id)]
    outcomes = store.samples.add_each(batch)
    assert outcomes[0] is True
    assert isinstance(outcomes[1], NotFound)
    assert outcomes[2] is True
    assert store.samples.list(ada.id) == [batch[2], batch[0]]


def test_metadata_retention_removes_all_content(tmp_path: Path, database_url: str) -> None:
    with Store.open(make_settings(tmp_path / "data", database_url, retention="metadata")) as store:
        owner = store.people.owner()
        sample = make_sample(owner.id, output_text="the-answer", sampling=SamplingSettings(stop=("the-stop",), seed=4))
        assert store.samples.add(sample)
        kept = store.samples.get(sample.id, person_id=owner.id)
        assert kept == replace(
            sample,
            messages=(),
            prompt_ids=(),
            output_ids=(),
            logprobs=(),
            output_text="",
            grammar="",
            sampling=SamplingSettings(seed=4),
            kept="metadata",
        )
        assert store.verify().ok


def test_no_retention_stores_nothing(tmp_path: Path, database_url: str) -> None:
    with Store.open(make_settings(tmp_path / "data", database_url, retention="none")) as store:
        assert store.samples.add(make_sample(store.people.owner().id)) is False
        assert store.samples.count() == 0


def test_old_samples_are_deleted_when_the_store_opens(settings: Settings) -> None:
    with Store.open(settings) as store:
        owner = store.people.owner()
        now = now_utc()
        ages = [timedelta(days=days) for days in (0, 29, 31)]
        batch = [make_sample(owner.id, created_utc=now - age) for age in ages]
        store.samples.add_many(batch)
    with Store.open(settings.model_copy(update={"retention_days": 30})) as store:
        assert {sample.id for sample in store.samples.list(owner.id)} == {sample.id for sample in batch[:2]}
        entry = store.audit.entries()[-1]
        assert (entry.action, entry.detail) == ("samples.expire", {"samples": 1})


def test_delete_older_than_returns_the_count_and_keeps_newer_samples(store: Store, ada: Person) -> None:
    border = now_utc()
    batch = [make_sample(ada.id, created_utc=border + timedelta(microseconds=offset)) for offset in (-1, 0, 1)]
    store.samples.add_many(batch)
    assert store.samples.delete_older_than(border) == 1
    assert store.samples.delete_older_than(border) == 0
    assert store.samples.count() == 2


def test_an_adapter_is_part_of_the_model_and_a_reader_is_not(store: Store, ada: Person) -> None:
    weights, adapter, reader = "ab" * 32, "cd" * 32, "ef" * 32
    published = PublishedAdapter(
        sha256=adapter, folder=Path("a"), base="tiny", base_sha256=weights, base_source_sha256="", rank=1, alpha=1.0,
        num_parameters=1, size_bytes=1, run="", step=1, created_utc=now_utc(), files={},
    )  # fmt: skip
    bare = make_sample(ada.id, adapter_hash=None, grammar="", choice=0)
    adapted = make_sample(ada.id, model=published.served_name("tiny"), grammar="", choice=0)
    read = make_sample(ada.id, adapter_hash=reader, grammar="", choice=0)
    assert [answering_model_hash(sample) for sample in (bare, adapted, read)] == [weights, f"{weights}+{adapter}", weights]
    store.samples.add_many([bare, adapted, read])
    assert store.samples.ids_to_replay(model_hash=weights) == [bare.id]
    assert store.samples.ids_to_replay(model_hash=weights, with_reader=True) == sorted((bare.id, read.id), reverse=True)
    assert store.samples.ids_to_replay(adapter_hash=adapter) == [adapted.id]


def test_deleted_words_are_in_no_file(tmp_path: Path) -> None:
    """SQLite only: within the database pages and the write-ahead log. What Postgres leaves in its own log is documented."""
    secret = "correct-horse-battery-staple"
    with Store.open(make_settings(tmp_path)) as store:
        owner = store.people.owner()
        sample = make_sample(owner.id, output_text=secret * 400, messages=({"content": secret},))
        store.samples.add_many([make_sample(owner.id) for _ in range(50)])
        store.samples.add(sample)

        def files_with_secret() -> list[str]:
            return [path.name for path in tmp_path.iterdir() if path.is_file() and secret.encode() in path.read_bytes()]

        assert files_with_secret()
        store.samples.delete(sample.id, person_id=owner.id)
        assert files_with_secret() == []
