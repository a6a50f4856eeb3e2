from __future__ import annotations

import pytest

from tests.store import drill
from tests.store.examples import make_sample
from yearling.config import Settings
from yearling.store import Store


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_no_acknowledged_write_is_lost_however_often_the_writer_is_killed(settings: Settings) -> None:
    acknowledged = drill.run(15, settings, seed=7, longest_s=0.6)
    assert min(len(acknowledged.samples), len(acknowledged.messages), len(acknowledged.audit), len(acknowledged.blobs)) > 15


@pytest.mark.slow
def test_the_checker_finds_what_is_lost(settings: Settings) -> None:
    with Store.open(settings) as store:
        owner = store.people.owner()
        sample = make_sample(owner.id)
        store.samples.add(sample)
        conversation = store.conversations.create(owner.id, "")
        message = store.conversations.add_message(conversation.id, person_id=owner.id, role="user", content="")
        store.audit.append("ada", "test", "subject")
        sha256 = store.blobs.put(b"content")
    kept = drill.Acknowledged()
    kept.note([f"samples {sample.id}\n", f"messages {message.id}\n", "audit subject\n", f"blobs {sha256}\n"])
    assert len(kept) == 4
    assert drill.check(settings, kept) == []
    for kind in ("samples", "messages", "audit", "blobs"):
        more = drill.Acknowledged()
        more.note([f"{kind} lost\n"])
        assert drill.check(settings, more) == [f"1 acknowledged {kind} lost, for example lost"]
