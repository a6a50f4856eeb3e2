"""The consensus of a fixed log, compared number by number with a snapshot made by an earlier version of the code.

The files in `golden/` were made by the first code with snapshot version 3, the labels for any number of people. To make them
again, check that code out and run there, with the events of any log:

    golden/log.jsonl        one line for each event: `json.dumps(event_to_dict(event), sort_keys=True, separators=(",", ":"))`
    golden/snapshot.json    `json.loads(run_consensus(events).snapshot.canonical_bytes())` without `code_hash`, encoded alike

A difference means that the same log no longer gives the same statuses, `q` values or estimates. Such a change needs a new
snapshot version and a release tag of the old code (see `yearling/feedback/code_releases.py`), not only new golden files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from yearling.feedback import event_from_dict, event_to_dict, run_consensus
from yearling.feedback.consensus import SNAPSHOT_VERSION

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    snapshot: dict[str, Any] = json.loads((GOLDEN / "snapshot.json").read_bytes())
    return snapshot


@pytest.fixture(scope="module")
def logged_events() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (GOLDEN / "log.jsonl").read_bytes().splitlines()]


def test_golden_events_keep_their_encoding(logged_events: list[dict[str, Any]]) -> None:
    assert [event_to_dict(event_from_dict(event)) for event in logged_events] == logged_events


def test_golden_log_gives_the_golden_snapshot(logged_events: list[dict[str, Any]], expected: dict[str, Any]) -> None:
    result = run_consensus(map(event_from_dict, logged_events))
    snapshot: dict[str, Any] = json.loads(result.snapshot.canonical_bytes())
    del snapshot["code_hash"]
    assert expected["version"] == SNAPSHOT_VERSION
    assert [(item["item"], item["status"]) for item in snapshot["items"]] == [
        (item["item"], item["status"]) for item in expected["items"]
    ]
    assert [(pair["better"], pair["worse"], pair["q"], pair["weight"]) for pair in snapshot["pairs"]] == [
        (pair["better"], pair["worse"], pair["q"], pair["weight"]) for pair in expected["pairs"]
    ]
    assert snapshot == expected, "equal to the last bit: JSON holds the shortest exact form of every number"


def test_golden_log_covers_statuses_pairs_and_dropped_events(expected: dict[str, Any]) -> None:
    assert {item["status"] for item in expected["items"]} == {"helpful", "needs_more_ratings", "not_helpful"}
    assert any(pair["weight"] > 0 for pair in expected["pairs"])
    assert {"retracted", "replaced by a later one"} <= set(expected["dropped"])
