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
from yearling.feedback import FeedbackLog, JuryInvitation, LiveConsensus, Parameters, publication_lines, replay, to_dict
from yearling.feedback.status_rules import StatusParameters

SMALL = Parameters(status=StatusParameters(jury_drawn=8, jury_size=6))


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
    path.write_bytes(b"".join(publication_lines(log.store, board.run())))
    return path


def test_the_lot_draws_people_of_both_sides_who_have_not_rated_the_item(log: FeedbackLog) -> None:
    owner, board = log.store.people.owner().id, LiveConsensus(log, SMALL)
    board.run()
    head = log.store.events.head()
    jury = board.invite_jury(owner, "i2")
    rated = {entry.event["actor"] for entry in log.store.events.entries(up_to=head.sequence) if entry.event.get("item") == "i2"}
    assert len(jury.jurors) == 8
    assert not rated & set(jury.jurors)
    result = board.latest.result
    assert result is not None
    assert sorted(result.side_of(juror) for juror in jury.jurors) == [0] * 4 + [1] * 4
    assert board.standing("i2").provisional
    hashes = {"code_hash": "c", "parameters_hash": "p"}
    with pytest.raises(Conflict, match="meantime"):
        log.invite(owner, "i2", jury.jurors, expected_head=head.hash, **hashes)
    with pytest.raises(NotFound):
        log.invite(owner, "unheard of", jury.jurors, expected_head=head.hash, **hashes)
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
        board.jury("i2")
    call = board.invite_jury(owner, "i2")
    assert (board.jury("i2").invited, board.jury("i2").answered, board.jury("i2").finding) == (set(call.jurors), set(), "")
    ledger = log.ledger
    assert ledger.summons(call.jurors[0]) == ["i2"]
    for number, juror in enumerate(call.jurors):
        line = {"kind": "rating", "id": f"verdict{number}", "actor": juror, "item": "i2", "value": 0.0, "tags": []}
        log.store.events.append(
            [{**line, "created_utc": to_dict(replace(call, created_utc=ledger.next_event_utc()))["created_utc"]}]
        )
        with ledger.reading():
            pass
    assert ledger.summons(call.jurors[0]) == []
    assert board.jury("i2").answered == set(call.jurors)
    assert board.jury("i2").finding == "not_helpful"
    board.run()
    assert board.jury("i2").finding == "not_helpful"


def test_who_sits_on_a_jury_finds_it_at_the_head_of_the_queue(log: FeedbackLog) -> None:
    board, ann = LiveConsensus(log), log.store.people.add("Ann").id
    call = JuryInvitation(
        id="call",
        created_utc=log.ledger.next_event_utc(),
        actor="yearling",
        item="i5",
        jurors=(log.pseudonym(ann),),
        code_hash="x",
    )
    assert board.queue(ann)[0].why != "jury"
    pour(log, [call])
    assert [(wanted.item, wanted.why) for wanted in board.queue(ann)[:1]] == [("i5", "jury")]
    assert [wanted.item for wanted in board.queue(ann)].count("i5") == 1
    log.rate(ann, "i5", 1)
    assert board.queue(ann)[0].why != "jury"
    assert not board.jury("i5").invited - board.jury("i5").answered


def test_replay_draws_every_jury_again(log: FeedbackLog, tmp_path: Path) -> None:
    owner, board = log.store.people.owner().id, LiveConsensus(log, SMALL)
    board.invite_jury(owner, "i2")
    found = replay(published(log, board, tmp_path / "a"))
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
    with log.ledger.reading() as ledger:
        picked = replace(fair, id="picked", item="i3", created_utc=ledger.next_event_utc(), jurors=fair.jurors[::-1])
    pour(log, [replace(picked, **change)])
    found = replay(published(log, board, tmp_path / "a"))
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
    from yearling.feedback import from_dict

    assert json.dumps(to_dict(from_dict(line)), sort_keys=True) == json.dumps(line, sort_keys=True)
