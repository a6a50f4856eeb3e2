"""Juries: who can call them, who is drawn, their verdicts, and the replay of the draw."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.feedback.people import append_events, open_feedback_log, simulate_events
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
def community_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the ratings of a community, to be copied."""
    folder = tmp_path_factory.mktemp("crowd") / "data"
    with open_feedback_log(folder) as log:
        append_events(log, simulate_events(num_raters=40, num_items=24))
    return folder


@pytest.fixture
def log(tmp_path: Path, community_folder: Path) -> Iterator[FeedbackLog]:
    shutil.copytree(community_folder, tmp_path / "data")
    with open_feedback_log(tmp_path / "data") as report:
        yield report


def publish(log: FeedbackLog, live: LiveConsensus, path: Path) -> Path:
    path.write_bytes(b"".join(publication_lines(log.store, live.run_now())))
    return path


def test_jury_has_members_of_both_sides_who_have_not_rated_the_item(log: FeedbackLog) -> None:
    owner, live = log.store.people.owner().id, LiveConsensus(log, SMALL)
    live.run_now()
    head = log.store.events.head()
    jury = live.invite_jury(owner, "i2")
    rated = {entry.event["actor"] for entry in log.store.events.entries(up_to=head.sequence) if entry.event.get("item") == "i2"}
    assert len(jury.jurors) == 8
    assert not rated & set(jury.jurors)
    result = live.latest_run.result
    assert result is not None
    assert sorted(result.side_of(juror) for juror in jury.jurors) == [0] * 4 + [1] * 4
    assert live.item_status("i2").is_provisional
    hashes = {"code_hash": "c", "parameters_hash": "p"}
    with pytest.raises(Conflict, match="meantime"):
        log.append_jury_invitation(owner, "i2", jury.jurors, expected_head=head.hash, **hashes)
    with pytest.raises(NotFound):
        log.append_jury_invitation(owner, "unheard of", jury.jurors, expected_head=head.hash, **hashes)
    with pytest.raises(Conflict, match="jury needs"):  # nobody is invited twice, so the candidates run out
        [live.invite_jury(owner, "i2") for _ in range(9)]


def test_only_administrators_can_call_a_jury_on_a_judged_item(log: FeedbackLog) -> None:
    member, maintainer = log.store.people.add("Ann").id, log.store.people.add("Moe", role="maintainer").id
    live = LiveConsensus(log, SMALL)
    with pytest.raises(NotFound, match="Only an administrator"):
        live.invite_jury(member, "i2")
    with pytest.raises(NotFound, match="Nobody has judged"):
        live.invite_jury(maintainer, "unheard of")
    assert live.invite_jury(maintainer, "i2").actor == log.pseudonym(maintainer)


def test_jury_state_until_the_verdict(log: FeedbackLog) -> None:
    owner, live = log.store.people.owner().id, LiveConsensus(log, SMALL)
    with pytest.raises(NotFound, match="no jury"):
        live.jury_state("i2")
    invitation = live.invite_jury(owner, "i2")
    live.run_now()
    assert (live.jury_state("i2").invited, live.jury_state("i2").answered, live.jury_state("i2").verdict) == (
        frozenset(invitation.jurors),
        frozenset(),
        "",
    )
    index = log.index
    assert index.pending_jury_items(invitation.jurors[0]) == ["i2"]
    for number, juror in enumerate(invitation.jurors):
        line = {"kind": "rating", "id": f"verdict{number}", "actor": juror, "item": "i2", "value": 0.0, "tags": []}
        log.store.events.append(
            [{**line, "created_utc": event_to_dict(replace(invitation, created_utc=index.next_event_utc()))["created_utc"]}]
        )
        with index.consistent_view():
            pass
    assert index.pending_jury_items(invitation.jurors[0]) == []
    assert live.jury_state("i2").answered == set(invitation.jurors)
    assert live.jury_state("i2").verdict == "not_helpful"
    live.run_now()
    assert live.jury_state("i2").verdict == "not_helpful"


def test_jury_items_come_first_in_the_queue(log: FeedbackLog) -> None:
    live, ann = LiveConsensus(log), log.store.people.add("Ann").id
    invitation = JuryInvitation(
        id="call",
        created_utc=log.index.next_event_utc(),
        actor="yearling",
        item="i5",
        jurors=(log.pseudonym(ann),),
        code_hash="x",
    )
    assert live.rating_queue(ann)[0].reason != "jury"
    append_events(log, [invitation])
    assert [(wanted.item, wanted.reason) for wanted in live.rating_queue(ann)[:1]] == [("i5", "jury")]
    assert [wanted.item for wanted in live.rating_queue(ann)].count("i5") == 1
    log.rate(ann, "i5", 1)
    assert live.rating_queue(ann)[0].reason != "jury"
    assert not live.jury_state("i5").invited - live.jury_state("i5").answered


def test_replay_repeats_every_jury_draw(log: FeedbackLog, tmp_path: Path) -> None:
    owner, live = log.store.people.owner().id, LiveConsensus(log, SMALL)
    live.invite_jury(owner, "i2")
    report = replay_publication(publish(log, live, tmp_path / "a"))
    assert (report.ok, report.juries_checked, report.juries_of_other_code) == (True, 1, 0), report.differences


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"jurors": ()}, "differs from the random draw"),
        ({"code_hash": ""}, "does not say how it was drawn"),
        ({"parameters_hash": "0" * 64}, "with parameters that no run had"),
    ],
)
def test_replay_detects_a_jury_not_drawn_by_lot(log: FeedbackLog, tmp_path: Path, change: Any, expected: str) -> None:
    owner, live = log.store.people.owner().id, LiveConsensus(log, SMALL)
    drawn_jury = live.invite_jury(owner, "i2")
    with log.index.consistent_view() as index:
        chosen_jury = replace(
            drawn_jury, id="picked", item="i3", created_utc=index.next_event_utc(), jurors=drawn_jury.jurors[::-1]
        )
    append_events(log, [replace(chosen_jury, **change)])
    report = replay_publication(publish(log, live, tmp_path / "a"))
    assert not report.ok
    assert [expected in difference for difference in report.differences] == [True]


def test_invitation_of_an_older_version_keeps_its_bytes() -> None:
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
