"""What teams of each size learn from the same judgements, over HTTP with accounts that were really invited.

Run with `-s` to see the table of judgements, lessons and their weight.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.api.conftest import ApiFactory, RunningApi
from tests.api.turn_client import exchange, get_tree
from yearling.config import Settings
from yearling.feedback import FeedbackLog, LiveConsensus
from yearling.inference import FakeEngine
from yearling.store import Store
from yearling.tasks import BuildConfig, build_lesson_set

SECRET = "a long enough secret"
SAME_ORIGIN = {"Origin": "http://127.0.0.1"}
SIZES = (1, 2, 3, 5, 6, 8, 12, 30)
NUM_ANSWERS = 12

Opinion = Callable[[int, int], float | None]
"""(person, answer) → rating, or None if the person does not rate the answer."""


def is_good(answer: int) -> bool:
    return answer % 3 != 0


def unanimous(person: int, answer: int) -> float:
    return float(is_good(answer))


def mostly_agreed(person: int, answer: int) -> float:
    """97 % agreement: one judgement in about thirty is the other way."""
    return float(is_good(answer) != ((7 * person + answer) % 31 == 5))


def one_dissenter(person: int, answer: int) -> float:
    return float(is_good(answer) != (person == 1))


def four_to_one(person: int, answer: int) -> float:
    return float(is_good(answer) != (person % 5 == 4))


def newcomer(size: int) -> Opinion:
    """Everybody agrees, and the last one rates a single answer."""
    return lambda person, answer: None if person == size - 1 and answer != 1 and size > 1 else float(is_good(answer))


@dataclass
class Team:
    """The accounts of a team, the owner first, and the answers that the owner offered."""

    api: RunningApi
    cookies: list[dict[str, str]] = field(default_factory=list)
    offers: list[str] = field(default_factory=list)

    async def invite(self) -> None:
        owner = self.cookies[0]
        created = await self.api.client.post("/v1/invitations", json={"role": "member"}, headers=SAME_ORIGIN | owner)
        assert created.status_code == 200, created.text
        body = {"invitation": created.json()["token"], "name": f"Person {len(self.cookies)}", "password": SECRET}
        joined = await self.api.client.post("/v1/auth/signup", json=body, headers=SAME_ORIGIN)
        assert joined.status_code == 200, joined.text
        self.cookies.append(self._take_cookie())

    async def rate(self, person: int, opinion: Opinion) -> int:
        """Rate what the person has an opinion of. Returns the number of judgements."""
        count = 0
        for answer, item in enumerate(self.offers):
            value = opinion(person, answer)
            if value is not None:
                response = await self.api.client.post(
                    "/v1/feedback/ratings", json={"item": item, "value": value}, headers=SAME_ORIGIN | self.cookies[person]
                )
                assert response.status_code == 200, response.text
                count += 1
        return count

    async def lessons(self) -> tuple[int, float]:
        """Run the consensus and build lessons. Returns the number of lessons and the sum of their weights."""

        def build() -> tuple[int, float]:
            LiveConsensus(FeedbackLog(self.api.store)).run_now()
            thumbs = build_lesson_set(self.api.store, BuildConfig(heldout_share=0.0)).lesson_set.thumbs()
            weights = [thumb.weight for thumb in thumbs]
            return len(weights), sum(weights)

        return await asyncio.to_thread(build)

    def _take_cookie(self) -> dict[str, str]:
        header = "; ".join(f"{name}={value}" for name, value in self.api.client.cookies.items())
        self.api.client.cookies.clear()
        return {"Cookie": header}


@asynccontextmanager
async def serve_team(start_api: ApiFactory) -> AsyncIterator[Team]:
    """Serve an installation whose owner has a password and offered twelve answers."""
    answers = [f"Answer number {k}: {'plain words ' * 9}{'abcdefghijkl'[k]}." for k in range(NUM_ANSWERS)]
    async with start_api(FakeEngine(answers), login_attempts=0, rate_limit_per_minute=0) as api:
        team = Team(api)
        samples = []
        for k in range(NUM_ANSWERS):
            turn, _ = await exchange(api.client, f"Question {k} about {'xyzuvwrstopq'[k] * 8}?")
            samples.append((await get_tree(api.client, turn["conversation"]))["tree"][-1]["sample"])
        for sample in samples:
            offered = await api.client.post("/v1/offers", json={"item": sample})
            assert offered.status_code == 200, offered.text
            team.offers.append(offered.json()["id"])
        assert (await api.client.put("/v1/me/password", json={"new": SECRET})).status_code == 200
        team.cookies.append(team._take_cookie())
        yield team


async def grow(
    start_api: ApiFactory, name: str, opinion: Opinion, sizes: tuple[int, ...] = SIZES
) -> list[tuple[int, int, float]]:
    """Let a team grow, everybody rating as they join. Returns (judgements, lessons, weight) at each size."""
    found, judgements, people = [], 0, 0
    async with serve_team(start_api) as team:
        for size in sizes:
            while people < size:
                if people:
                    await team.invite()
                judgements += await team.rate(people, opinion)
                people += 1
            lessons, weight = await team.lessons()
            found.append((judgements, lessons, weight))
            print(f"{name:16} {size:3} people {judgements:4} judgements {lessons:3} lessons, weight {weight:6.2f}")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("opinion", [unanimous, mostly_agreed])
async def test_agreement_never_costs_a_lesson(start_api: ApiFactory, opinion: Opinion) -> None:
    found = await grow(start_api, opinion.__name__, opinion)
    lessons, weights = [entry[1] for entry in found], [entry[2] for entry in found]
    assert lessons[0] == NUM_ANSWERS, "one person alone teaches"
    if opinion is unanimous:
        assert lessons == [NUM_ANSWERS] * len(SIZES)
        assert weights == sorted(weights)
    else:
        assert min(lessons) >= NUM_ANSWERS - 1
        assert weights[-1] > weights[0]


@pytest.mark.slow
@pytest.mark.parametrize("opinion", [one_dissenter, four_to_one])
async def test_dissent_costs_weight_and_not_the_lessons_of_the_many(start_api: ApiFactory, opinion: Opinion) -> None:
    found = await grow(start_api, opinion.__name__, opinion, (3, 5, 12))
    assert [entry[1] for entry in found[1:]] == [NUM_ANSWERS] * 2
    assert all(0.0 < entry[2] < NUM_ANSWERS for entry in found)


@pytest.mark.slow
async def test_newcomer_with_one_rating_costs_nothing(start_api: ApiFactory) -> None:
    for size in (2, 5):
        before = await grow(start_api, "without newcomer", unanimous, (size - 1,))
        after = await grow(start_api, "newcomer", newcomer(size), (size,))
        assert (after[0][0], after[0][1]) == (before[0][0] + 1, before[0][1])
        assert after[0][2] > before[0][2]


def test_the_store_knows_who_was_invited(tmp_path: Path) -> None:
    with Store.open(Settings(data_dir=tmp_path)) as store:
        invited, alone = store.people.add("Ann"), store.identities.create_person("Eve", "member", issuer="x", subject="y")
        promoted = store.identities.create_person("Max", "maintainer", issuer="x", subject="z")
        people = [store.people.is_invited(person.id) for person in (store.people.owner(), invited, alone, promoted)]
        assert people == [True, True, False, True]
        assert not store.people.is_invited("nobody")
