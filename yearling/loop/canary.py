"""What a canary shows: monitors over pairs of answers under a sequential test, the permitted stage, and the automatic stop.

Everything is computed anew from stored observations, so a restart loses nothing. Pairs are, in the order in which they were
complete: both answers to a replayed prompt; the k-th live answer of the challenger with the k-th live answer of the champion; and
the two answers of a comparison. Pairing live answers by their number gives both models as many chances to be flagged.

A monitor counts only pairs in which exactly one model is flagged. The allowed probability of a false stop is divided among the
monitors, so it holds for all of them together. Thumbs only ever stop a canary: nothing that people liked promotes a model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from yearling.errors import Conflict
from yearling.feedback import EventIndex, Rating
from yearling.loop.canary_evidence import NOT_PREFERRED, CanaryState, counted_observations
from yearling.records import FinishReason
from yearling.release import CanaryPlan, CanaryRules, plan_canary
from yearling.store import CanaryObservation, Store

CanaryDecision = Literal["stop", "continue", "ready"]

MONITOR_SHARES: Mapping[str, float] = {
    "bad_answers": 0.4,
    "refusals": 0.2,
    "spec": 0.2,
    "thumbs": 0.08,
    "latency": 0.06,
    "preference": 0.06,
}
"""The share of the allowed probability of a false stop that each monitor may spend. They add up to 1 (Bonferroni)."""

_FLAGS: Mapping[str, frozenset[str]] = {
    "bad_answers": frozenset({"empty", "cut", "repetition", "failed"}),
    "refusals": frozenset({"refusal"}),
    "spec": frozenset({"spec"}),
    "preference": frozenset({NOT_PREFERRED}),
}
FAILED_ANSWER = "failed"
"""The flag of an answer that the model could not give."""

SLOWER_BY = 1.5
"""An answer that starts this many times later than the other one counts as slow."""

_CLAIMED_RATES = (0.02, 0.03, 0.06, 0.10)
"""Rates of bad answers of a challenger, of which a report says whether they would have been seen."""


class CanaryStopSwitch(Protocol):
    """Stops a model in every process, until the quorum resumes it."""

    def stop(self, model: str | None, *, actor: str, reason: str) -> object:
        """Stop a model, and record it in the audit log."""
        ...

    def reason(self, model: str) -> str:
        """Why a model is stopped; empty while it may generate."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorReport:
    """One monitor. `stopped_at` is the discordant pair after which it stopped the canary, counted from 1."""

    name: str
    pairs: int
    discordant: int
    challenger_only: int
    """Discordant pairs in which the challenger is the one that is flagged."""
    alpha: float
    stopped_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionClaim:
    """Whether a share of bad answers of the challenger, against one of the champion, would have been seen by now."""

    champion_rate: float
    challenger_rate: float
    probability: float
    is_seen: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryReport:
    """The state of a canary after everything that was observed. Sentences are for people."""

    release: int
    model: str
    decision: CanaryDecision
    """`stop`: a monitor stopped it. `ready`: nothing did, and enough was seen for a promotion."""
    num_people: int
    pairs: int
    live_pairs: int
    replayed_pairs: int
    monitors: tuple[MonitorReport, ...]
    plan: CanaryPlan
    claims: tuple[DetectionClaim, ...]
    detectable_rate: float
    reason: str
    """Why it stopped; empty if it goes on."""
    seen: str
    """What the canary could have seen, and what not."""

    @property
    def percent(self) -> int:
        """The percentage of people who may get the challenger now."""
        return 0 if self.decision == "stop" else self.plan.percent


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two observations, and the id of the later one, which orders the pairs."""

    champion: CanaryObservation
    challenger: CanaryObservation

    @property
    def order(self) -> str:
        return max(self.champion.id, self.challenger.id)


def flag_answer(text: str, finish_reason: FinishReason) -> tuple[str, ...]:
    """What is visibly wrong with an answer: the flags of a `CanaryObservation`. Takes milliseconds; call it from a thread."""
    from yearling.evals import flag_answer as flag

    return flag(text, finish_reason)


def assess_canary(
    store: Store, state: CanaryState, *, rules: CanaryRules | None = None, events: EventIndex | None = None
) -> CanaryReport:
    """The report on the challenger's canary. Raises Conflict without a challenger, NotFound for an unknown release.

    `events` is the index of the feedback log if the caller has one; otherwise the whole log is read once people have got both
    models.
    """
    from yearling.evals import detection_probability, smallest_detectable_rate

    if state.challenger is None:
        raise Conflict("There is no canary.", advice="Start one with `yearling release propose`.")
    rules = rules or CanaryRules()
    release = store.releases.get(state.challenger)
    observations = counted_observations(store, release)
    pairs = sorted(_pair_up(observations), key=lambda pair: pair.order)
    answered = [pair for pair in pairs if pair.challenger.source != "comparison"]
    events_of = {
        **{name: _flagged_events(_pairs_for(name, pairs, answered), _FLAGS[name]) for name in _FLAGS},
        "latency": _latency_events(answered),
        "thumbs": _thumb_events(answered, store, events),
    }
    monitors = tuple(
        _run_monitor(name, len(_pairs_for(name, pairs, answered)), events_of[name], rules.alpha * share)
        for name, share in MONITOR_SHARES.items()
    )
    alpha = rules.alpha * MONITOR_SHARES["bad_answers"]
    detectable = smallest_detectable_rate(len(answered), rules.champion_rate, alpha=alpha, power=rules.power)
    claims = tuple(
        DetectionClaim(
            champion_rate=rules.champion_rate,
            challenger_rate=rate,
            probability=(found := detection_probability(len(answered), rules.champion_rate, rate, alpha=alpha)),
            is_seen=found >= rules.power,
        )
        for rate in _CLAIMED_RATES
        if rate > rules.champion_rate
    )
    num_people = sum(1 for person in store.people.list() if person.closed_utc is None)
    plan = plan_canary(num_people, detectable, rules)
    reason = _stop_reason(monitors)
    live = sum(1 for pair in answered if pair.challenger.source == "live")
    return CanaryReport(
        release=release.number,
        model=release.model,
        decision="stop" if reason else "ready" if plan.is_proven else "continue",
        num_people=num_people,
        pairs=len(pairs),
        live_pairs=live,
        replayed_pairs=len(answered) - live,
        monitors=monitors,
        plan=plan,
        claims=claims,
        detectable_rate=detectable,
        reason=reason,
        seen=_describe_claims(claims, len(answered), rules),
    )


def stop_canary_if_due(store: Store, switch: CanaryStopSwitch, report: CanaryReport) -> bool:
    """Stop the challenger if a monitor says so, and record it in the audit log. Returns whether this call stopped it."""
    if report.decision != "stop" or switch.reason(report.model):
        return False
    switch.stop(report.model, actor="yearling", reason=report.reason)
    detail = {"model": report.model, "reason": report.reason, "pairs": report.pairs}
    store.audit.append("yearling", "canary.stop", str(report.release), detail)
    return True


def _pair_up(observations: Sequence[CanaryObservation]) -> Iterable[_Pair]:
    """The complete pairs. A prompt that was replayed twice, and an answer that two servers observed, count once."""
    by_pair: defaultdict[str, dict[str, CanaryObservation]] = defaultdict(dict)
    live: defaultdict[str, list[CanaryObservation]] = defaultdict(list)
    seen: set[str] = set()
    for observation in observations:
        if observation.source == "live":
            if observation.sample_id is None or observation.sample_id not in seen:
                live[observation.arm].append(observation)
            seen.update([observation.sample_id] if observation.sample_id else [])
        elif observation.pair is not None:
            by_pair[observation.pair].setdefault(observation.arm, observation)
    yield from (_Pair(arms["champion"], arms["challenger"]) for arms in by_pair.values() if len(arms) == 2)
    yield from (_Pair(old, new) for old, new in zip(live["champion"], live["challenger"], strict=False))


def _pairs_for(name: str, pairs: Sequence[_Pair], answered: Sequence[_Pair]) -> Sequence[_Pair]:
    if name == "preference":
        return [pair for pair in pairs if pair.challenger.source == "comparison"]
    if name in ("latency", "thumbs"):  # a replayed answer has no thumbs, and its time is that of an idle machine
        return [pair for pair in answered if pair.challenger.source == "live"]
    return answered


def _flagged_events(pairs: Sequence[_Pair], flags: frozenset[str]) -> list[bool]:
    """For each discordant pair, whether the challenger is the one that is flagged."""
    flagged = [(not flags.isdisjoint(pair.champion.flags), not flags.isdisjoint(pair.challenger.flags)) for pair in pairs]
    return [challenger for champion, challenger in flagged if champion != challenger]


def _latency_events(pairs: Sequence[_Pair]) -> list[bool]:
    events = []
    for pair in pairs:
        old, new = pair.champion.latency_ms, pair.challenger.latency_ms
        if pair.challenger.source == "live" and old is not None and new is not None:
            if new > SLOWER_BY * old:
                events.append(True)
            elif old > SLOWER_BY * new:
                events.append(False)
    return events


def _thumb_events(pairs: Sequence[_Pair], store: Store, events: EventIndex | None) -> list[bool]:
    """Thumbs down on live answers, in the order in which people gave them: whether the answer was the challenger's.

    A rating comes after its answer, so it counts when it comes. A later answer that is rated first would otherwise change what
    the canary showed before.
    """
    live = [pair for pair in pairs if pair.challenger.source == "live"]
    if not live:
        return []
    events = events or EventIndex(store)
    events.sync()
    found: list[tuple[str, bool]] = []
    for pair in live:
        for observation in (pair.champion, pair.challenger):
            if observation.sample_id:
                latest: dict[str, Rating] = {}
                for event in events.events_about(observation.sample_id):
                    if isinstance(event, Rating) and events.withdrawal_of(event.id) is None:
                        latest[event.actor] = event
                down = (rating.id for rating in latest.values() if rating.value == 0)
                found += [(event_id, observation.arm == "challenger") for event_id in down]
    return [is_challenger for _, is_challenger in sorted(found)]


def _run_monitor(name: str, num_pairs: int, events: Sequence[bool], alpha: float) -> MonitorReport:
    from yearling.evals import find_stop

    return MonitorReport(
        name=name,
        pairs=num_pairs,
        discordant=len(events),
        challenger_only=sum(events),
        alpha=alpha,
        stopped_at=find_stop(events, alpha=alpha),
    )


_MONITOR_NAMES: Mapping[str, str] = {
    "bad_answers": "empty, cut, repetitive or failed answers",
    "refusals": "refusals",
    "spec": "words that the behaviour spec rules out",
    "thumbs": "thumbs down",
    "latency": "slower answers",
    "preference": "lost comparisons",
}


def _stop_reason(monitors: Sequence[MonitorReport]) -> str:
    stopped = [monitor for monitor in monitors if monitor.stopped_at is not None]
    return " ".join(
        f"The challenger has more {_MONITOR_NAMES[monitor.name]}: {monitor.challenger_only} against "
        f"{monitor.discordant - monitor.challenger_only} of the champion."
        for monitor in stopped
    )


def _describe_claims(claims: Sequence[DetectionClaim], num_pairs: int, rules: CanaryRules) -> str:
    """`With 400 pairs of answers, 6 % of bad answers against 1 % would have been seen with 80 % power; 3 % against 1 % not.`"""
    seen = [f"{100 * claim.challenger_rate:g} %" for claim in claims if claim.is_seen]
    unseen = [f"{100 * claim.challenger_rate:g} %" for claim in claims if not claim.is_seen]
    start = f"With {num_pairs} {'pair' if num_pairs == 1 else 'pairs'} of answers"
    base, power = f"{100 * rules.champion_rate:g} %", f"{100 * rules.power:g} %"
    if not seen:
        return f"{start} the canary could not have seen {unseen[-1]} of bad answers against {base} with {power} power."
    text = f"{start}, {seen[0]} of bad answers against {base} would have been seen with {power} power"
    return f"{text}; {unseen[-1]} against {base} not." if unseen else f"{text}."
