"""Items have words that people recognise, and results are hidden until one has rated, in the title as well."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.api.conftest import ApiFactory, RunningApi
from tests.feedback.people import add_answers, append_events, simulate_events
from yearling.api.feedback import schemas
from yearling.api.feedback.routes import normalize_item_id
from yearling.feedback import FeedbackLog
from yearling.store import make_text


async def get_item(api: RunningApi, item: str) -> schemas.ItemView:
    response = await api.client.get(f"/v1/consensus/items/{item}")
    assert response.status_code == 200, response.text
    return schemas.ItemView.model_validate(response.json())


def add_public_answer(log: FeedbackLog, item: str, messages: list[dict[str, Any]]) -> None:
    log.store.texts.add([make_text(item, "answer", {"messages": messages, "text": f"{item}: " + "yes " * 100})])


async def test_items_are_named_by_their_words(start_api: ApiFactory) -> None:
    async with start_api() as api:
        log, ben = FeedbackLog(api.store), api.store.people.add("Ben").id
        own = normalize_item_id((await api.chat("Mine?")).json()["id"])
        (others,) = add_answers(log, ben, 1)
        question = [
            {"role": "system", "content": "Be kind."},
            {"role": "user", "content": "Which lanes?"},
            {"role": "assistant", "content": "Cycle lanes."},
            {"role": "user", "content": "Why " * 100},
        ]
        add_public_answer(log, "public", question)
        add_public_answer(log, "bare", [])
        await api.client.post("/v1/feedback/ratings", json={"item": own, "value": 1})
        log.rate(ben, others, 1.0)
        for item in ("public", "bare"):
            await api.client.post("/v1/feedback/ratings", json={"item": item, "value": 1})
        await api.client.post("/v1/feedback/comparisons", json={"left": "public", "right": "bare", "outcome": "left"})
        view = await get_item(api, "public")
        assert (view.question, view.yours, view.text) == ("Why " * 100, False, "public: " + "yes " * 100)
        assert ((await get_item(api, own)).text, (await get_item(api, own)).yours) == (None, True)
        private = await get_item(api, others)
        assert (private.text, private.question, private.yours) == (None, None, False)
        listed = {item.item: item for item in await list_items(api)}
        assert listed["public"].question == ("Why " * 100)[:140]
        assert listed["public"].text == ("public: " + "yes " * 100)[:280]
        assert listed["bare"].question is None
        assert (listed[own].yours, listed[others].yours) == (True, False)


async def list_items(api: RunningApi) -> list[schemas.AxisItem]:
    await asyncio.to_thread(api.app.state.services.running_consensus.run_now)
    return schemas.ConsensusView.model_validate((await api.client.get("/v1/consensus")).json()).items


@pytest.mark.slow
async def test_division_is_told_only_to_those_who_rated(start_api: ApiFactory) -> None:
    async with start_api() as api:
        log = FeedbackLog(api.store)
        await asyncio.to_thread(append_events, log, simulate_events(num_raters=60, comparisons=20))
        items = {item.item: item for item in await list_items(api)}
        snapshot = api.app.state.services.running_consensus.latest_run.snapshot
        divided = [result.item for result in snapshot.items if result.label_reason == "people_are_divided"]
        divided = [item for item in divided if items[item].status == "needs_more_ratings" and items[item].reason != "no_quorum"]
        assert divided
        for item in divided:
            assert (items[item].display_status, items[item].judged, items[item].approval) == ("needs_more_ratings", None, None)
            standing = (await get_item(api, item)).standing
            assert standing.explanation == ["Needs more ratings.", "Rate it to see what others think."]
        await api.client.post("/v1/feedback/ratings", json={"item": divided[0], "value": 1})
        standing = (await get_item(api, divided[0])).standing
        assert standing.display_status == "people_are_divided"
        assert standing.score is not None
        assert standing.score.judged > 1
        view = schemas.ConsensusView.model_validate((await api.client.get("/v1/consensus")).json())
        assert divided[0] in view.divides
        assert sum(view.counts.values()) == len(view.items)
        assert view.counts["people_are_divided"] == len(divided)
        assert view.two_sides
        assert [side.people for side in view.sides] == [view.raters.side_0, view.raters.side_1]
        assert view.raters.model_dump() == snapshot.raters
        told = {item.item for side in view.sides for item in side.likes}
        assert told <= {divided[0]} | {item.item for item in view.items if item.status != "needs_more_ratings"}


async def test_pairs_name_the_other_answer(start_api: ApiFactory) -> None:
    async with start_api() as api:
        log = FeedbackLog(api.store)
        events = simulate_events(num_raters=20, num_items=6, comparisons=6)
        await asyncio.to_thread(append_events, log, events)
        item = (await list_items(api))[0].item
        await api.client.post("/v1/feedback/ratings", json={"item": item, "value": 1})
        view = await get_item(api, item)
        assert view.pairs
        for pair in view.pairs:
            other = pair.worse if pair.better == item else pair.better
            assert pair.other.text == f"The answer {other}."
