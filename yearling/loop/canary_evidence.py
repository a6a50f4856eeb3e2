"""The evidence of a canary: which answers are observed, and since when they count.

A canary counts what was observed since the signed change that started it. If a monitor stopped it and the key-holders lifted that
stop, it counts what was observed since then: what stopped it once does not stop it again. Both are read from the audit log.

People's answers are observed through their stored samples, so temporary chats and answers that the retention setting does not
keep are not. Only flags are stored, neither words nor people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any, Protocol

from yearling.records import AuditEntry, Sample
from yearling.store import CanaryArm, CanaryObservation, Release, Store, answering_model_hash

NOT_PREFERRED = "not_preferred"
MIN_TIMED_TOKENS = 8
"""Answers with fewer tokens say nothing about speed."""
MAX_LIVE_ANSWERS = 10_000
"""Answers of one model that are observed in one canary."""
MAX_COLLECTED = 500
"""Answers of one model that one call flags, which takes milliseconds for each."""

_PUBLISH, _RESUME, _STOP = "release.publish", "release.resume", "release.stop"
CANARY_ACTIONS = (_PUBLISH, _RESUME, _STOP)
"""The actions of the audit log that decide since when a canary counts."""
_MONITOR = "yearling"
"""The actor of a stop by a monitor."""


class CanaryState(Protocol):
    """The numbers of the releases that are compared, as signed metadata name them."""

    @property
    def champion(self) -> int | None:
        """The release that everybody else gets."""
        ...

    @property
    def challenger(self) -> int | None:
        """The release in the canary; None without a canary."""
        ...


def canary_since(entries: Iterable[AuditEntry], release: Release) -> datetime | None:
    """Since when observations of a release count; None if the log does not say that its canary began.

    `entries` are those of the actions `CANARY_ACTIONS`, oldest first.
    """
    since: datetime | None = None
    stops: set[str] = set()
    for entry in entries:
        change: Any = entry.detail.get("change", {})
        if entry.action == _STOP and entry.actor == _MONITOR and entry.detail.get("model") == release.model:
            stops.add(entry.subject)
        is_lifted = entry.action == _RESUME and not stops.isdisjoint(str(change.get("stop_id", "")).split())
        started = ("start_canary", release.number)
        if is_lifted or (entry.action == _PUBLISH and (change.get("kind"), change.get("release")) == started):
            since = entry.created_utc
    return since


def counted_observations(store: Store, release: Release) -> list[CanaryObservation]:
    """The observations of a release that count now, oldest first."""
    since = canary_since(store.audit.entries(actions=CANARY_ACTIONS), release)
    return [each for each in store.canaries.list(release.number) if since is None or each.created_utc >= since]


def collect_live_answers(store: Store, state: CanaryState, read_answer: Callable[[Sample], str]) -> int:
    """Store flags of the answers that people got since the canary began and the last call. Returns how many of the challenger.

    `read_answer` returns the text of an answer as people saw it. The champion's are observed as far as the challenger has answers
    to compare them with. Answers that were replayed are in another pair already.
    """
    from yearling.evals import flag_answer

    if state.champion is None or state.challenger is None:
        return 0
    champion, challenger = store.releases.get(state.champion), store.releases.get(state.challenger)
    if champion.model_hash and champion.model_hash == challenger.model_hash:
        return 0  # the same weights under two names: nobody can tell whose answer it is
    since = canary_since(store.audit.entries(actions=CANARY_ACTIONS), challenger)
    if since is None:
        return 0
    observations = [each for each in store.canaries.list(challenger.number) if each.created_utc >= since]
    known = {each.sample_id for each in observations if each.source != "comparison"}
    num_live = {arm: sum(1 for each in observations if (each.source, each.arm) == ("live", arm)) for arm in _ARMS}
    new = {arm: _new_ids(store, release, since, known) for arm, release in zip(_ARMS, (champion, challenger), strict=True)}
    del new["challenger"][max(MAX_LIVE_ANSWERS - num_live["challenger"], 0) :]
    del new["champion"][max(num_live["challenger"] + len(new["challenger"]) - num_live["champion"], 0) :]
    samples = store.samples.get_many([*new["champion"][:MAX_COLLECTED], *new["challenger"][:MAX_COLLECTED]])
    found = [
        CanaryObservation(
            release=challenger.number,
            arm=arm,
            source="live",
            flags=flag_answer(read_answer(sample), sample.finish_reason),
            sample_id=sample_id,
            latency_ms=_token_ms(sample),
        )
        for arm in _ARMS
        for sample_id in new[arm][:MAX_COLLECTED]
        if (sample := samples.get(sample_id)) is not None
    ]
    if found:
        store.canaries.add(found)
    return sum(1 for each in found if each.arm == "challenger")


_ARMS: tuple[CanaryArm, CanaryArm] = ("champion", "challenger")


def _token_ms(sample: Sample) -> float | None:
    """How long the answer took for each of its tokens; None for an answer that is too short to tell."""
    if sample.completion_tokens < MIN_TIMED_TOKENS:
        return None
    return 1000 * sample.duration_s / sample.completion_tokens


def _new_ids(store: Store, release: Release, since: datetime, known: set[str | None]) -> list[str]:
    """Ids of the answers of a release since then that were not observed, oldest first."""
    ids = store.samples.ids_to_replay(
        model=release.model if release.kind == "endpoint" else None,
        adapter_hash=release.model_hash if release.kind == "adapter" else None,
        model_hash=release.model_hash if release.kind == "model" else None,
        with_reader=True,
        since=since,
        limit=MAX_LIVE_ANSWERS,
    )
    return [sample_id for sample_id in reversed(ids) if sample_id not in known]


def collect_comparisons(store: Store, state: CanaryState) -> int:
    """Store what people chose between champion and challenger since the last call, as observations. Returns how many choices."""
    if state.champion is None or state.challenger is None:
        return 0
    champion, challenger = store.releases.get(state.champion), store.releases.get(state.challenger)
    known = {observation.pair for observation in store.canaries.list(challenger.number)}
    decided = [each for each in store.comparisons.list_decided_samples() if each.comparison_id not in known]
    samples = store.samples.get_many(sorted({sample for each in decided for sample in (each.left, each.right)}))
    found: list[CanaryObservation] = []
    for each in decided:
        sides = {"left": samples.get(each.left), "right": samples.get(each.right)}
        arms = {side: _arm_of(sample, champion, challenger) for side, sample in sides.items() if sample is not None}
        if set(arms.values()) != {"champion", "challenger"}:
            continue
        for side, arm in arms.items():
            if arm is None:
                continue
            lost = each.outcome in arms and each.outcome != side
            sample = sides[side]
            found.append(
                CanaryObservation(
                    release=challenger.number,
                    arm=arm,
                    source="comparison",
                    flags=(NOT_PREFERRED,) if lost else (),
                    pair=each.comparison_id,
                    sample_id=sample.id if sample else None,
                )
            )
    if found:
        store.canaries.add(found)
    return len(found) // 2


def _arm_of(sample: Sample, champion: Release, challenger: Release) -> CanaryArm | None:
    """Which of the two releases wrote a sample; None for neither."""
    if is_sample_of_release(sample, challenger):
        return "challenger"
    return "champion" if is_sample_of_release(sample, champion) else None


def is_sample_of_release(sample: Sample, release: Release) -> bool:
    """Whether a release wrote a sample: an adapter's by the adapter's hash, an endpoint's by its name."""
    if release.kind == "adapter":
        return bool(release.model_hash) and sample.adapter_hash == release.model_hash
    if release.kind == "endpoint":
        return sample.model == release.model
    return answering_model_hash(sample) == release.model_hash
