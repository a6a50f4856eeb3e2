"""The look at a running canary that a server takes: what it observes, and by which rules."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest

from tests.api.release.releasing import Site
from tests.store.examples import make_sample
from yearling.api.release.running_canary import check_canary
from yearling.clock import new_id, now_utc
from yearling.release import ReleaseAuthority, default_rules_text
from yearling.store import CanaryObservation

pytestmark = pytest.mark.slow


def answer(site: Site, model: str, text: str) -> None:
    """An answer that somebody got from a model."""
    values: dict[str, Any] = {"model_hash": hashlib.sha256(model.encode()).hexdigest(), "adapter_hash": None, "model": model}
    messages = ({"role": "user", "content": "Hi"},)
    values |= {"output_text": text, "grammar": "", "choice": 0, "created_utc": now_utc(), "messages": messages}
    site.store.samples.add(make_sample(site.owner.id, **values))


async def look(site: Site, authority: ReleaseAuthority) -> float:
    return await asyncio.to_thread(lambda: check_canary(site.store, authority, authority.state()))


async def test_answers_of_people_stop_a_bad_challenger_once(site: Site) -> None:
    async with site.serving():
        pass
    authority, number = site.authority(), site.release("second")
    site.change("start_canary", number)
    assert await look(site, authority) == 1.0
    for _ in range(20):
        answer(site, "first", "Hello.")
        answer(site, "second", "")
    assert await look(site, authority) == 0.0
    (notice,) = authority.stops.notices()
    assert (notice.model, notice.actor) == ("second", "yearling")
    assert "20 against 0 of the champion" in notice.reason
    site.change("resume", stop_id=notice.id)
    assert await look(site, authority) == 1.0, "what stopped it does not stop it again"
    assert authority.stops.notices() == ()


async def test_the_signed_rules_decide_about_the_stages(site: Site) -> None:
    async with site.serving():
        pass
    authority, number = site.authority(), site.release("second")
    site.change("start_canary", number)
    pairs = [new_id() for _ in range(30)]
    site.store.canaries.add(
        [
            CanaryObservation(release=number, arm=arm, source="replay", pair=pair)
            for pair in pairs
            for arm in ("champion", "challenger")
        ]
    )
    before = await look(site, authority)
    text = default_rules_text().replace("seen_rates = [0.10, 0.06, 0.03]", "seen_rates = [0.9, 0.9, 0.9]")
    assert text != default_rules_text()
    site.change("rules", rules=text)
    after = await look(site, authority)
    assert (before, after) == (1.0, 100.0)
