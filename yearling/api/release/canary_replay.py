"""Lets the challenger of a canary answer stored prompts, while nobody else generates: one at a time, in the background.

On a small installation this carries the weight of a canary. A request for generation interrupts the answer in progress. Both the
champion's stored answer and the challenger's new one get the same flags; only these are stored, no words and no person. Temporary
chats and answers that the retention setting does not keep are not stored, so they are never replayed.

The observations hold all state. The champion's is stored before the challenger answers, and both share the sample's id as their
pair, so after a restart the replay goes on with the next prompt. A prompt during which the process ended three times is given up.

Prompts with tools, a schema or a begun answer are left out: replaying them could act, or would compare something else.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass

import structlog

from yearling.api.idle_generation import GenerationActivity, GenerationInterruptedError, IdleGeneration
from yearling.chat import Assistant, ServedModelProvider, TurnRequest, answer_message
from yearling.clock import new_id
from yearling.errors import BadInput, NotFound, Unavailable
from yearling.loop import FAILED_ANSWER, CanaryState, counted_observations, flag_answer, is_sample_of_release
from yearling.records import Sample
from yearling.store import CanaryObservation, Release, Store

_log = structlog.get_logger("yearling.api")

MAX_PAIRS = 2000
"""Prompts that are replayed for one release."""
MAX_ATTEMPTS = 3
MAX_ANSWER_TOKENS = 2048
"""Longer answers of the champion are not replayed, and the challenger's end here."""

_LEFT_OUT_SOURCES = frozenset({"tools", "begun"})


class _LatestSample:
    """Keeps the newest sample in memory, in place of the store."""

    def __init__(self) -> None:
        self.sample: Sample | None = None

    async def add(self, sample: Sample, /) -> object:
        """Keep the sample."""
        self.sample = sample
        return True


@dataclass(frozen=True, slots=True)
class _Work:
    """The next prompt: the champion's sample, and the release of the challenger."""

    sample: Sample
    challenger: Release


class CanaryReplay(IdleGeneration[_Work]):
    """The background task of one server. Use from one event loop."""

    failure_event = "canary_replay_failed"

    def __init__(
        self,
        store: Store,
        pool: ServedModelProvider,
        activity: GenerationActivity,
        state: Callable[[], CanaryState],
        *,
        is_stopped: Callable[[str], str] = lambda model: "",
        after_pair: Callable[[], object] = lambda: None,
        quiet_s: float = 2.0,
        retry_pause_s: float = 5.0,
        idle_poll_s: float = 30.0,
    ) -> None:
        """`state` names the releases that are compared now, `is_stopped` says why a model may not generate, and `after_pair`
        looks at the canary. All three may block, and run in threads. The timing is that of `IdleGeneration`.
        """
        self._store, self._state = store, state
        self._is_stopped, self._after_pair = is_stopped, after_pair
        self._latest = _LatestSample()
        super().__init__(
            Assistant(pool, self._latest, "canary"),
            activity,
            quiet_s=quiet_s,
            retry_pause_s=retry_pause_s,
            idle_poll_s=idle_poll_s,
        )
        self._waiting: tuple[tuple[int, int] | None, list[str]] = (None, [])
        """The releases that are compared, and the samples that wait, the next one last."""
        self._begun: set[tuple[int, str]] = set()
        self._failures: Counter[tuple[int, str]] = Counter()

    def find_work(self) -> _Work | None:
        """The newest prompt that waits. Raises what the store and the signed state raise."""
        state = self._state()
        if state.champion is None or state.challenger is None:
            return None
        champion, challenger = self._store.releases.get(state.champion), self._store.releases.get(state.challenger)
        if self._is_stopped(challenger.model):
            return None
        compared = (champion.number, challenger.number)
        if self._waiting[0] != compared or not self._waiting[1]:
            self._waiting = (compared, self._list_waiting(champion, challenger))
        waiting = self._waiting[1]
        while waiting:
            sample = self._store.samples.get_many(waiting[-1:]).get(waiting[-1])  # it can be deleted meanwhile
            if sample is not None and is_sample_of_release(sample, champion) and _is_replayable(sample):
                return _Work(sample, challenger)
            waiting.pop()
        return None

    def _list_waiting(self, champion: Release, challenger: Release) -> list[str]:
        """The champion's samples without an answer of the challenger, oldest first, so that the newest is the next."""
        observations = counted_observations(self._store, challenger)
        replayed = [each for each in observations if each.source == "replay" and each.pair is not None]
        done = {each.pair for each in replayed if each.arm == "challenger"}
        attempts = Counter(each.pair for each in replayed if each.arm == "champion")
        given_up = {pair for pair, count in attempts.items() if count >= MAX_ATTEMPTS}
        room = MAX_PAIRS - len(done)
        ids = self._store.samples.ids_to_replay(
            model=champion.model if champion.kind == "endpoint" else None,
            adapter_hash=champion.model_hash if champion.kind == "adapter" else None,
            model_hash=champion.model_hash if champion.kind == "model" else None,
            limit=2 * MAX_PAIRS,
        )
        waiting = [sample_id for sample_id in ids if sample_id not in done | given_up]
        return waiting[: max(room, 0)][::-1]

    async def do_work(self, work: _Work) -> None:
        """Answer one prompt and store the observations. An interruption counts as nothing."""
        key = (work.challenger.number, work.sample.id)
        if key not in self._begun:
            message = await asyncio.to_thread(answer_message, work.sample)
            text = str(message["content"])
            flags = await asyncio.to_thread(flag_answer, text, work.sample.finish_reason)
            await asyncio.to_thread(self._store.canaries.add, [self._observation(work, "champion", flags)])
            self._begun.add(key)
        try:
            sample = await self.generate(lambda: self._answer_once(work))
            answer = await asyncio.to_thread(answer_message, sample)
            flags = await asyncio.to_thread(flag_answer, str(answer["content"]), sample.finish_reason)
        except GenerationInterruptedError:
            return
        except NotFound:
            raise  # the model is not there, which says nothing about its answers
        except BadInput:  # above all, a prompt that is too long for this model
            self._waiting[1].pop()
            return
        except Exception as error:
            self._failures[key] += 1
            _log.info("canary_prompt_not_answered", pair=work.sample.id, attempt=self._failures[key], error=type(error).__name__)
            if self._failures[key] < MAX_ATTEMPTS:
                await asyncio.sleep(self.retry_pause_s)
                return
            flags = (FAILED_ANSWER,)
        await asyncio.to_thread(self._store.canaries.add, [self._observation(work, "challenger", flags)])
        self._waiting[1].pop()
        self._begun.discard(key)
        await asyncio.to_thread(self._after_pair)

    def _observation(self, work: _Work, arm: str, flags: tuple[str, ...]) -> CanaryObservation:
        return CanaryObservation(
            release=work.challenger.number,
            arm="champion" if arm == "champion" else "challenger",
            source="replay",
            flags=flags,
            pair=work.sample.id,
            sample_id=work.sample.id if arm == "champion" else None,
        )

    async def _answer_once(self, work: _Work) -> Sample:
        """One answer with the messages and the sampling settings of the champion's."""
        sampling = asdict(work.sample.sampling)
        del sampling["logit_bias"]  # its token ids mean something else to another model
        sampling["max_tokens"] = min(sampling["max_tokens"] or MAX_ANSWER_TOKENS, MAX_ANSWER_TOKENS)
        request = TurnRequest(request_id=new_id(), messages=work.sample.messages, model=work.challenger.model, sampling=sampling)
        self._latest.sample = None
        turn = await self._assistant.prepare(request)
        await turn.answer()
        if self._latest.sample is None:
            raise Unavailable("The challenger gave no answer.")
        return self._latest.sample


def _is_replayable(sample: Sample) -> bool:
    return sample.completion_tokens <= MAX_ANSWER_TOKENS and not any(
        message.get("source") in _LEFT_OUT_SOURCES or message.get("tool_calls") or message.get("role") == "tool"
        for message in sample.messages
    )
