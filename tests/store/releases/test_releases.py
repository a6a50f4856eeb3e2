"""Releases, observations of canaries and incidents in the store, on both databases."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from yearling.clock import new_id
from yearling.errors import BadInput, Conflict, NotFound, Untrusted
from yearling.store import CanaryObservation, IncidentCheck, Release, ReleasedFile, Store, new_release, release_from_bytes
from yearling.store.database.release_schema import releases
from yearling.store.releases import incidents
from yearling.store.releases.releases import release_bytes

WEIGHTS = "ab" * 32


def make_release(**fields: object) -> Release:
    file = ReleasedFile(path="models/tiny/model.gguf", sha256=WEIGHTS, size_bytes=7)
    draft = new_release(
        created_by="yearling", title="learnt 18 corrections", kind="model", model="tiny", model_hash=WEIGHTS, program_version="1"
    )
    return Release(**{**{name: getattr(draft, name) for name in Release.__dataclass_fields__}, "files": (file,), **fields})


def test_releases_are_numbered_from_zero_and_read_back_as_written(store: Store) -> None:
    first, second = store.releases.create(make_release()), store.releases.create(make_release(model="other", model_hash=""))
    assert (first.number, second.number) == (0, 1)
    assert store.releases.get(0) == first
    assert store.releases.list() == [second, first]
    assert store.releases.list(model_hash=WEIGHTS) == [first]
    assert release_from_bytes(release_bytes(second)) == second
    with pytest.raises(NotFound, match="no release 2"):
        store.releases.get(2)
    assert [entry.action for entry in store.audit.entries()][-2:] == ["release.create"] * 2


def test_changed_record_of_a_release_is_refused(store: Store) -> None:
    store.releases.create(make_release())
    with store.database.write() as connection:
        changed = release_bytes(make_release(number=0, model_hash="cd" * 32)).decode()
        connection.execute(releases.update().values(record=changed))
    with pytest.raises(Untrusted, match="release 0 was changed"):
        store.releases.get(0)


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff", b'{"files": 3, "created_utc": ""}', b"7"])
def test_other_bytes_are_no_release(content: bytes) -> None:
    with pytest.raises(Untrusted, match="no record of a release"):
        release_from_bytes(content)


def test_observations_of_a_canary_are_read_in_order(store: Store) -> None:
    pair = new_id()
    both = [
        CanaryObservation(release=3, arm="champion", source="replay", pair=pair),
        CanaryObservation(release=3, arm="challenger", source="replay", pair=pair, flags=("refused",), latency_ms=12.5),
    ]
    store.canaries.add(both)
    store.canaries.add([CanaryObservation(release=4, arm="champion", source="live")])
    assert store.canaries.list(3) == both
    assert store.canaries.list(3, after=both[0].id) == both[1:]


def test_incident_becomes_a_case_once_and_keeps_its_checks(store: Store) -> None:
    owner = store.people.owner().id
    incident = store.incidents.open(owner, sample_id=new_id(), model="tiny", model_hash=WEIGHTS, reason="It names a person.")
    assert (incident.state, incident.case) == ("open", None)
    accepted = store.incidents.accept(incident.id, reviewed_by=owner, review="Right.", case={"id": "incident.1"})
    assert (accepted.state, accepted.case) == ("accepted", {"id": "incident.1"})
    with pytest.raises(Conflict, match="accepted already"):
        store.incidents.dismiss(incident.id, reviewed_by=owner, review="")
    check = IncidentCheck(incident_id=incident.id, model="tiny", model_hash=WEIGHTS, passed=False)
    store.incidents.record_checks([check])
    assert store.incidents.checks(incident_id=incident.id) == store.incidents.checks(model_hash=WEIGHTS) == [check]
    assert store.incidents.list(state=["open"]) == []
    assert store.incidents.list(person_id=owner) == [accepted]


def test_incidents_of_a_person_have_ceilings(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incidents, "MAX_OPEN_INCIDENTS_PER_PERSON", 1)
    owner, sample = store.people.owner().id, new_id()
    with pytest.raises(BadInput, match="at most"):
        store.incidents.open(owner, sample_id=sample, model="tiny", model_hash="", reason="x" * 4001)
    store.incidents.open(owner, sample_id=sample, model="tiny", model_hash="", reason="")
    with pytest.raises(Conflict, match="already"):
        store.incidents.open(owner, sample_id=sample, model="tiny", model_hash="", reason="")
    with pytest.raises(Conflict, match="1 open"):
        store.incidents.open(owner, sample_id=new_id(), model="tiny", model_hash="", reason="")


def test_incident_outlives_its_person_without_naming_them(store: Store) -> None:
    ann = store.people.add("Ann").id
    incident = store.incidents.open(ann, sample_id=new_id(), model="tiny", model_hash="", reason="Never again.")
    store.delete_person(ann, actor="test")
    assert store.incidents.get(incident.id).person_id is None
    with store.database.read() as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM incidents")).scalar_one() == 1
