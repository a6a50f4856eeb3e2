"""The stop switch: any stop counts at once, survives everything that happens to its file, and only the quorum lifts it."""

from __future__ import annotations

import json
import time

import pytest

from tests.release.conftest import Installation
from yearling.errors import BadInput, Conflict, NotFound, Untrusted
from yearling.release import StopSwitch
from yearling.release import stop as stop_module


def test_stop_of_a_model_covers_its_adapters_and_nothing_else(installation: Installation) -> None:
    switch = StopSwitch(installation.folder)
    assert switch.reason("tiny") == ""
    notice = switch.stop("tiny", actor="ann", reason="It  insults\npeople")
    assert notice.reason == "It insults people"
    assert "It insults people" in switch.reason("tiny")
    assert switch.reason("tiny+0123456789ab")
    assert switch.reason("tiny2") == ""
    switch.stop(None, actor="ann", reason="")
    assert "Every model was stopped" in switch.reason("tiny2")
    assert StopSwitch(installation.folder).reason("tiny2")


def test_stop_is_lifted_by_a_published_resume_only(quorum: Installation) -> None:
    notice = quorum.authority.stop("tiny", actor="ann", reason="bad")
    pending = quorum.sign(quorum.change("resume", stop_id=notice.id), "Ann")
    assert quorum.authority.stops.reason("tiny")
    assert quorum.sign(pending, "Bea").is_published
    assert quorum.authority.stops.reason("tiny") == ""
    assert quorum.actions().count("release.stop") == quorum.actions().count("release.resume") == 1
    with pytest.raises(NotFound, match="no stop"):
        quorum.change("resume", stop_id=notice.id)


def test_several_stops_are_lifted_at_once(alone: Installation) -> None:
    ids = [alone.authority.stop(model, actor="ann", reason="").id for model in ("a", "b", None)]
    alone.change("resume", stop_id=" ".join(ids[:2]))
    assert [notice.id for notice in alone.authority.stops.notices()] == ids[2:]


@pytest.mark.parametrize("content", [None, b"", b"{", b'{"notices": [], "sha256": ""}', b"[]", b"\xff" * 10, b"7", "huge"])
def test_damaged_or_deleted_file_stops_everything_until_the_authority_writes_it_anew(
    alone: Installation, content: bytes | str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    notice = alone.authority.stop("tiny", actor="ann", reason="bad")
    path = alone.folder / "stop.json"
    if content is None:
        path.unlink()
    elif content == "huge":
        monkeypatch.setattr(stop_module, "MAX_STOP_BYTES", 5)
    else:
        assert isinstance(content, bytes)
        path.write_bytes(content)
    other = StopSwitch(alone.folder)
    assert "Everything is stopped" in other.reason("other")
    with pytest.raises(Untrusted):
        other.notices()
    monkeypatch.undo()
    path.touch()
    alone.reopen().state()
    assert StopSwitch(alone.folder).notices() == (notice,)
    assert StopSwitch(alone.folder).reason("other") == ""


def test_forged_empty_file_resumes_nothing(alone: Installation) -> None:
    alone.authority.state()
    empty = (alone.folder / "stop.json").read_bytes()
    notice = alone.authority.stop(None, actor="ann", reason="bad")
    alone.authority.state()
    (alone.folder / "stop.json").write_bytes(empty)
    alone.authority.state()
    assert alone.authority.stops.notices() == (notice,)


def test_stop_by_hand_enters_the_audit_log(alone: Installation) -> None:
    notice = StopSwitch(alone.folder).stop("tiny", actor="ann", reason="bad")
    alone.authority.state()
    entry = alone.store.audit.entries()[-1]
    assert (entry.action, entry.subject, entry.actor) == ("release.stop", notice.id, "ann")


def test_file_that_brings_a_lifted_stop_back_is_mended(alone: Installation) -> None:
    notice = alone.authority.stop("tiny", actor="ann", reason="bad")
    stopped = (alone.folder / "stop.json").read_bytes()
    alone.change("resume", stop_id=notice.id)
    (alone.folder / "stop.json").write_bytes(stopped)
    alone.authority.state()
    assert alone.authority.stops.notices() == ()


def test_stops_have_ceilings_but_everything_can_always_be_stopped(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stop_module, "MAX_STOPS", 2)
    switch = StopSwitch(installation.folder)
    for model in ("a", "b"):
        switch.stop(model, actor="ann", reason="")
    with pytest.raises(Conflict, match="Stop everything"):
        switch.stop("c", actor="ann", reason="")
    switch.stop(None, actor="ann", reason="")
    assert switch.reason("c")
    for reason in ("x" * 501, "\x07"):
        with pytest.raises(BadInput):
            switch.stop(None, actor="ann", reason=reason)


def test_checking_costs_little(alone: Installation) -> None:
    switch = alone.authority.stops
    switch.reason("tiny")
    start = time.perf_counter()
    for _ in range(1000):
        switch.reason("tiny")
    assert time.perf_counter() - start < 0.5


def test_file_is_readable_json(alone: Installation) -> None:
    alone.authority.stop("tiny", actor="ann", reason="bad")
    rows = json.loads((alone.folder / "stop.json").read_text())["notices"]
    assert [(row["model"], row["reason"]) for row in rows] == [("tiny", "bad")]
