"""Ids are UUIDv7 (RFC 9562), sort by creation time and never repeat."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from yearling import clock


def test_ids_are_version_7_and_contain_the_time() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid.UUID(clock.new_id())
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert before <= made.int >> 80 <= before + 1000


def test_ids_increase_within_a_millisecond() -> None:
    ids = [clock.new_id() for _ in range(20_000)]
    assert ids == sorted(set(ids))


def test_ids_increase_if_the_clock_steps_back(monkeypatch: pytest.MonkeyPatch) -> None:
    first = clock.new_id()
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000)
    assert clock.new_id() > first


@pytest.mark.slow
def test_threads_never_share_an_id() -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: clock.new_id(), range(8_000)))
    assert len(set(ids)) == len(ids)


def test_now_utc_is_aware() -> None:
    assert clock.now_utc().utcoffset() is not None


def test_id_contains_its_creation_time() -> None:
    before = clock.now_utc()
    made = clock.id_created_utc(clock.new_id())
    assert timedelta(milliseconds=-1) <= made - before < timedelta(minutes=1)
