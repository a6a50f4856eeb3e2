"""The sample writer: group commit, failures and cancellation."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from tests.store.examples import make_sample, make_settings
from yearling.errors import Conflict, NotFound, StorageFailed
from yearling.records import Person, Sample
from yearling.store import SampleWriter, Store


@pytest_asyncio.fixture
async def writer(store: Store) -> AsyncIterator[SampleWriter]:
    writer = SampleWriter(store)
    yield writer
    await writer.close()


@pytest.fixture
def owner(store: Store) -> Person:
    return store.people.owner()


class TransactionCounter:
    """Counts the transactions of a store, and can block the next one."""

    def __init__(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sizes: list[int] = []
        self.open = threading.Event()
        self.open.set()
        original = store.samples.add_many

        def add_many(batch: Sequence[Sample]) -> int:
            self.open.wait(10)
            self.sizes.append(len(batch))
            return original(batch)

        monkeypatch.setattr(store.samples, "add_many", add_many)


async def test_sample_is_stored_when_add_returns(store: Store, writer: SampleWriter, owner: Person) -> None:
    sample = make_sample(owner.id)
    assert await writer.add(sample) is True
    assert store.samples.get(sample.id, person_id=owner.id) == sample


async def test_samples_added_during_a_transaction_share_the_next_one(
    store: Store, writer: SampleWriter, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = TransactionCounter(store, monkeypatch)
    counter.open.clear()
    tasks = [asyncio.create_task(writer.add(make_sample(owner.id)))]
    await asyncio.sleep(0.05)  # the first is being written
    tasks += [asyncio.create_task(writer.add(make_sample(owner.id))) for _ in range(40)]
    await asyncio.sleep(0.05)
    assert not any(task.done() for task in tasks)
    counter.open.set()
    assert await asyncio.gather(*tasks) == [True] * 41
    assert counter.sizes == [1, 40]
    assert store.samples.count() == 41


@pytest.mark.slow
async def test_writer_refuses_only_invalid_samples(store: Store, writer: SampleWriter, owner: Person) -> None:
    known = make_sample(owner.id)
    store.samples.add(known)
    batch = [make_sample(owner.id), make_sample("nobody"), known, make_sample(owner.id, logprobs=(-1.0,)), make_sample(owner.id)]
    outcomes = await asyncio.gather(*(writer.add(sample) for sample in batch), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [bool, NotFound, Conflict, ValueError, bool]
    assert store.samples.count() == 3


@pytest.mark.slow
async def test_failed_transaction_fails_only_its_callers(tmp_path: Path) -> None:
    with Store.open(make_settings(tmp_path), lock_timeout_s=0.1) as store:
        owner = store.people.owner()
        writer = SampleWriter(store)
        before = [make_sample(owner.id) for _ in range(3)]
        assert await asyncio.gather(*map(writer.add, before)) == [True] * 3
        with Store.open(make_settings(tmp_path)) as other, other.database.write():
            outcomes = await asyncio.gather(*(writer.add(make_sample(owner.id)) for _ in range(5)), return_exceptions=True)
            assert [type(outcome) for outcome in outcomes] == [StorageFailed] * 5
            assert len({id(outcome) for outcome in outcomes}) == 5
            assert "locked" in str(outcomes[0])
        after = make_sample(owner.id)
        assert await writer.add(after) is True
        await writer.close()
        assert store.samples.list(owner.id) == [after, *before[::-1]]


async def test_cancelled_caller_does_not_affect_others(
    store: Store, writer: SampleWriter, owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = TransactionCounter(store, monkeypatch)
    counter.open.clear()
    impatient = asyncio.create_task(writer.add(make_sample(owner.id)))
    patient = asyncio.create_task(writer.add(make_sample(owner.id)))
    await asyncio.sleep(0.02)
    impatient.cancel()
    counter.open.set()
    assert await patient is True
    with pytest.raises(asyncio.CancelledError):
        await impatient
    assert store.samples.count() == 2


async def test_unexpected_exception_reaches_the_caller(store: Store, owner: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(_: object) -> None:
        raise MemoryError("planted")

    monkeypatch.setattr(store.samples, "add_each", explode)
    writer = SampleWriter(store)
    with pytest.raises(MemoryError, match="planted"):
        await asyncio.wait_for(writer.add(make_sample(owner.id)), 5)
    monkeypatch.undo()
    assert await writer.add(make_sample(owner.id)) is True
    await writer.close()


async def test_close_waits_for_pending_samples(store: Store, owner: Person) -> None:
    writer = SampleWriter(store)
    tasks = [asyncio.create_task(writer.add(make_sample(owner.id))) for _ in range(10)]
    await asyncio.sleep(0)
    await writer.close()
    await writer.close()
    assert store.samples.count() == 10
    assert await asyncio.gather(*tasks) == [True] * 10
    with pytest.raises(RuntimeError, match="closed"):
        await writer.add(make_sample(owner.id))


async def test_add_returns_false_without_retention(tmp_path: Path, database_url: str) -> None:
    with Store.open(make_settings(tmp_path, database_url, retention="none")) as store:
        writer = SampleWriter(store)
        assert await writer.add(make_sample(store.people.owner().id)) is False
        assert store.samples.count() == 0
        await writer.close()
