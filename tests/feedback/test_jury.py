"""Juries: who calls them, who sits on them, what they find, and that everybody can draw the lot again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.feedback.people import community, opened, pour
from yearling.errors import Conflict, NotFound
from yearling.feedback import (
    ConsensusParameters,
    FeedbackLog,
    JuryInvitation,
    LiveConsensus,
    event_to_dict,
    publication_lines,
    replay_publication,
)
from yearling.feedback.status_rules import StatusParameters

SMALL = ConsensusParameters(status=StatusParameters(jury_drawn=8, jury_size=6))


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in which a community has spoken, to be copied."""
    folder = tmp_path_factory.mktemp("crowd") / "data"
    with opened(folder) as log:
        pour(log, community(num_raters=40, num_items=24))
    return folder


@pytest.fixture
def log(tmp_path: Path, crowd: Path) -> Iterator[FeedbackLog]:
    shutil.copytree(crowd, tmp_path / "data")
    with opened(tmp_path / "data") as found:
        yield found


def published(log: FeedbackLog, board: LiveConsensus, path: Path) -> Path:
    path.write_bytes(b"".join(publication_lines(log.store, board.run_now())))
    return path


def test_the_lot_draws_people_of_both_sides_who_have_not_rated_the_item(log: FeedbackLog) -> None:
    owner, board = log.store.people.owner().id, LiveConsensus(log, SMALL)
    board.run_now()
    head = log.store.events.head()
    jury = board.invite_jury(owner, "i2")
    rated = {entry.event["actor"] for entry in log.store.events.entries(up_to=head.sequence) if entry.event.get("item") == "i2"}
    assert len(jury.jurors) == 8
    assert not rated & set(jury.jurors)
    result = board.latest_run.result
    assert result is not None
    assert sorted(result.side_of(juror) for juror in jury.jurors) == [0] * 4 + [1] * 4
    assert board.item_status("i2").is_provisional
    hashes = {"code_hash": "c", "parameters_hash": "p"}
    with pytest.raises(Conflict, match="meantime"):
        log.append_jury_invitation(owner, "i2", jury.jurors, expected_head=head.hash, **hashes)
    with pytest.raises(NotFound):
        log.append_jury_invitation(owner, "unheard of", jury.jurors, expected_head=head.hash, **hashes)
    with pytest.raises(Conflict, match="jury needs"):  # nobody is asked twice, so the candidates run out
        [board.invite_jury(owner, "i2") for _ in range(9)]


def test_only_administrators_call_a_jury_and_only_on_what_was_judged(log: FeedbackLog) -> None:
    member, maintainer = log.store.people.add("Ann").id, log.store.people.add("Moe", role="maintainer").id
    board = LiveConsensus(log, SMALL)
    with pytest.raises(NotFound, match="Only an administrator"):
        board.invite_jury(member, "i2")
    with pytest.raises(NotFound, match="Nobody has judged"):
        board.invite_jury(maintainer, "unheard of")
    assert board.invite_jury(maintainer, "i2").actor == log.pseudonym(maintainer)


def test_a_jury_is_followed_until_it_has_found_something(log: FeedbackLog) -> None:
    owner, board = log.store.people.owner().id, LiveConsensus(log, SMALL)
    with pytest.raises(NotFound, match="no jury"):
        board.jury_state("i2")
    call = board.invite_jury(owner, "i2")
    assert (board.jury_state("i2").invited, board.jury_state("i2").answered, board.jury_state("i2").verdict) == (
        set(call.jurors),
        set(),
        "",
    )
    ledger = log.index
    assert ledger.pending_jury_items(call.jurors[0]) == ["i2"]
    for number, juror in enumerate(call.jurors):
        line = {"kind": "rating", "id": f"verdict{number}", "actor": juror, "item": "i2", "value": 0.0, "tags": []}
        log.store.events.append(
            [{**line, "created_utc": event_to_dict(replace(call, created_utc=ledger.next_event_utc()))["created_utc"]}]
        )
        with ledger.consistent_view():
            pass
    assert ledger.pending_jury_items(call.jurors[0]) == []
    assert board.jury_state("i2").answered == set(call.jurors)
    assert board.jury_state("i2").verdict == "not_helpful"
    board.run_now()
    assert board.jury_state("i2").verdict == "not_helpful"


def test_who_sits_on_a_jury_finds_it_at_the_head_of_the_queue(log: FeedbackLog) -> None:
    board, ann = LiveConsensus(log), log.store.people.add("Ann").id
    call = JuryInvitation(
        id="call",
        created_utc=log.index.next_event_utc(),
        actor="yearling",
        item="i5",
        jurors=(log.pseudonym(ann),),
        code_hash="x",
    )
    assert board.rating_queue(ann)[0].reason != "jury"
    pour(log, [call])
    assert [(wanted.item, wanted.reason) for wanted in board.rating_queue(ann)[:1]] == [("i5", "jury")]
    assert [wanted.item for wanted in board.rating_queue(ann)].count("i5") == 1
    log.rate(ann, "i5", 1)
    assert board.rating_queue(ann)[0].reason != "jury"
    assert not board.jury_state("i5").invited - board.jury_state("i5").answered


def test_replay_draws_every_jury_again(log: FeedbackLog, tmp_path: Path) -> None:
    owner, board = log.store.people.owner().id, LiveConsensus(log, SMALL)
    board.invite_jury(owner, "i2")
    found = replay_publication(published(log, board, tmp_path / "a"))
    assert (found.ok, found.juries_checked, found.juries_of_other_code) == (True, 1, 0), found.differences


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"jurors": ()}, "is not the one that the lot draws"),
        ({"code_hash": ""}, "does not say how it was drawn"),
        ({"parameters_hash": "0" * 64}, "by parameters that no run had"),
    ],
)
def test_a_jury_that_was_picked_by_hand_is_found_out(log: FeedbackLog, tmp_path: Path, change: Any, said: str) -> None:
    owner, board = log.store.people.owner().id, LiveConsensus(log, SMALL)
    fair = board.invite_jury(owner, "i2")
    with log.index.consistent_view() as ledger:
        picked = replace(fair, id="picked", item="i3", created_utc=ledger.next_event_utc(), jurors=fair.jurors[::-1])
    pour(log, [replace(picked, **change)])
    found = replay_publication(published(log, board, tmp_path / "a"))
    assert not found.ok
    assert [said in difference for difference in found.differences] == [True]


def test_an_invitation_by_an_older_version_keeps_its_bytes() -> None:
    line = {
        "kind": "jury_invitation",
        "id": "j1",
        "actor": "yearling",
        "created_utc": "2026-01-01T00:00:00.000000Z",
        "item": "x",
        "jurors": ["a"],
    }
    from yearling.feedback import event_from_dict

    assert json.dumps(event_to_dict(event_from_dict(line)), sort_keys=True) == json.dumps(line, sort_keys=True)
