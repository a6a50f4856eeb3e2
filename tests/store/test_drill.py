"""The crash drill: no acknowledged write is lost, and the check can fail."""

from __future__ import annotations

import pytest

from tests.store import drill
from tests.store.examples import make_sample
from yearling.config import Settings
from yearling.store import Store


@pytest.mark.drill
@pytest.mark.timeout(600)
def test_killing_the_writer_loses_no_acknowledged_write(settings: Settings) -> None:
    acknowledged = drill.run(15, settings, seed=7, max_delay_s=0.6)
    assert min(len(acknowledged.samples), len(acknowledged.messages), len(acknowledged.audit), len(acknowledged.blobs)) > 15


@pytest.mark.slow
def test_check_reports_lost_records(settings: Settings) -> None:
    with Store.open(settings) as store:
        owner = store.people.owner()
        sample = make_sample(owner.id)
        store.samples.add(sample)
        conversation = store.conversations.create(owner.id, "")
        message = store.conversations.add_message(conversation.id, person_id=owner.id, role="user", content="")
        store.audit.append("ada", "test", "subject")
        sha256 = store.blobs.put(b"content")
    acknowledged = drill.Acknowledged()
    acknowledged.note([f"samples {sample.id}\n", f"messages {message.id}\n", "audit subject\n", f"blobs {sha256}\n"])
    assert len(acknowledged) == 4
    assert drill.check(settings, acknowledged) == []
    for kind in ("samples", "messages", "audit", "blobs"):
        lost = drill.Acknowledged()
        lost.note([f"{kind} lost\n"])
        assert drill.check(settings, lost) == [f"1 acknowledged {kind} lost, for example lost"]
