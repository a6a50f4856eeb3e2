"""Measures attacks that were found from outside, on whole runs over event logs of real raters, with and without their defence.

Each attack is a log: real raters (accounts of an imported log) judge, a first run decides, and attackers with open accounts act.
The rows name what the attack achieves; the method is `undefended` (the defence in question is off) or `ours`.

- Retracting: attackers carry a status with votes and take them back. Success: the item keeps it, though it would not gain it.
- Busy accounts: a tenth of the raters judge every item, along an invented line. Counted: good statuses lost, newly bad ones.
- Standing on junk: attackers earn standing on items that only they judge, then promote. Success: the target becomes helpful.
- Turning: attackers turn on all statuses at once, so that a limit on flips freezes honest flips too. Counted: flips that pass.
- Copies: equal histories of ten to fourteen acts promote. Success: the target becomes helpful.

Honest cost: the share of real ratings that count by the rule on standing, statuses under the cap on influence, and statuses that
fall if a tenth of the real raters leaves.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from benchmarks.consensus.comparison_sampling import MIN_LEFT_OUT_RATERS, MIN_RATERS_PER_GROUP, select_rater_votes
from benchmarks.consensus.metrics import Measurement, make_measurement
from benchmarks.consensus.polis import PolisConversation, find_two_groups, group_opinions, sample_raters
from benchmarks.consensus.simulation import START_UTC
from yearling.feedback.consensus import ConsensusResult, run_consensus
from yearling.feedback.events import Admission, FeedbackEvent, Rating, Retraction, StatusChange
from yearling.feedback.exact_arithmetic import Mask
from yearling.feedback.parameters import ConsensusParameters
from yearling.feedback.rater_model import SparseRatings
from yearling.feedback.status_rules import DECIDED_STATUSES, HELPFUL, NEEDS_MORE

DECIDED_UTC = START_UTC + timedelta(days=200)
ATTACK_UTC = START_UTC + timedelta(days=201)
_UNDEFENDED_INFLUENCE = 1e9
_UNDEFENDED_COPIES = 15
"""Acts from which copies were compared before."""


def run_later_attacks(
    conversations: Iterable[PolisConversation],
    seeds: Sequence[int],
    p: ConsensusParameters,
    *,
    size: int = 100,
    num_targets: int = 3,
) -> list[Measurement]:
    """Measure every attack on `size` real raters, for each conversation and seed, with up to `num_targets` targets each."""
    # The minimum age of a status delays an attack and does not decide it.
    p = replace(p, status=replace(p.status, min_age_s=0.0))
    measurements: list[Measurement] = []
    for conversation in conversations:
        for seed in seeds:
            sample, left_out = sample_raters(conversation, size, seed)
            if int(left_out.sum()) < MIN_LEFT_OUT_RATERS:
                continue
            reference = group_opinions(conversation, left_out, find_two_groups(conversation, left_out))
            usable = reference.seen_by_every_group(MIN_RATERS_PER_GROUP)
            stage = _Stage(
                select_rater_votes(conversation, sample),
                usable & (reference.weakest_approval() >= 0.5),
                usable & (reference.weakest_approval() < 0.4),
                np.random.default_rng([seed, 9]),
                p,
                num_targets,
            )
            for (measure, method), values in stage.measure().items():
                measurements += [make_measurement(measure, method, conversation, seed, value) for value in values]
    return measurements


class _Stage:
    """One sample of real raters, the run over it, and the attacks on it."""

    def __init__(
        self,
        ratings: SparseRatings,
        good: Mask,
        bad: Mask,
        generator: np.random.Generator,
        p: ConsensusParameters,
        num_targets: int,
    ) -> None:
        self.ratings, self.good, self.bad, self.generator, self.p = ratings, good, bad, generator, p
        self.num_targets = num_targets
        self.honest = _honest_log(ratings, generator)
        self.result = run_consensus(self.honest, p)
        self.statuses = _statuses(self.result)
        self.changes: list[FeedbackEvent] = [
            StatusChange(id=f"s{item}", created_utc=DECIDED_UTC, actor="yearling", item=item, status=status)
            for item, status in self.statuses.items()
            if status in DECIDED_STATUSES
        ]

    def measure(self) -> dict[tuple[str, str], list[float]]:
        """Return the values of each (measure, method)."""
        out: dict[tuple[str, str], list[float]] = {}
        for part in (
            self._retracted_votes(),
            self._busy_accounts(),
            self._standing_on_junk(),
            self._turning_on_everything(),
            self._copies(),
            self._honest_cost(),
        ):
            for key, value in part:
                out.setdefault(key, []).append(value)
        return out

    def _targets(self, mask: Mask) -> list[str]:
        items = [f"i{k}" for k in np.flatnonzero(mask) if f"i{k}" in self.statuses]
        return [str(item) for item in self.generator.permutation(items)[: self.num_targets]]

    def _promotable(self) -> list[str]:
        return [item for item in self._targets(self.bad) if self.statuses[item] != HELPFUL]

    def _attackers_with_standing(self, count: int) -> list[FeedbackEvent]:
        """Return three judgements of decided items by each of `count` accounts, like those of random real raters."""
        events: list[FeedbackEvent] = []
        by_rater: dict[int, list[int]] = {}
        for entry, rater in enumerate(self.ratings.raters.tolist()):
            by_rater.setdefault(rater, []).append(entry)
        models = [rater for rater, entries in by_rater.items() if len(entries) >= 12]
        for k in range(count):
            entries = self.generator.permutation(by_rater[int(self.generator.choice(models))])[:8]
            events += [
                _rating(f"x{k}", f"i{self.ratings.items[e]}", float(self.ratings.values[e]), DECIDED_UTC - timedelta(days=9))
                for e in entries
            ]
        return events

    def _retracted_votes(self) -> Iterable[tuple[tuple[str, str], float]]:
        """Promote with as many votes as the item has, wait for the status, and take the votes back."""
        for item in self._promotable():
            count = int(np.sum(self.ratings.items == int(item[1:])))
            accounts = self._attackers_with_standing(count)
            votes = [_rating(f"x{k}", item, 1.0, DECIDED_UTC - timedelta(days=1)) for k in range(count)]
            if _statuses(run_consensus([*self.honest, *accounts, *votes], self.p)).get(item) != HELPFUL:
                continue
            status = StatusChange(id="carried", created_utc=DECIDED_UTC, actor="yearling", item=item, status=HELPFUL)
            back: list[FeedbackEvent] = [
                Retraction(id=f"t{vote.id}", created_utc=ATTACK_UTC, actor=vote.actor, event=vote.id) for vote in votes
            ]
            log = [*self.honest, *accounts, *votes, status, *back]
            kept = {
                "ours": _statuses(run_consensus(log, self.p))[item] == HELPFUL,
                # Without the votes in the log, nothing tells that they were withdrawn.
                "undefended": _statuses(run_consensus([*self.honest, *accounts, status], self.p))[item] == HELPFUL,
            }
            for method, value in kept.items():
                yield ("retracted votes, status kept", method), float(value)

    def _busy_accounts(self) -> Iterable[tuple[tuple[str, str], float]]:
        """Let a tenth of the raters judge every item along a line of their own: half of them as it is, half against it."""
        num_accounts = max(2, self.ratings.num_raters // 10)
        line = self.generator.random(self.ratings.num_items) < 0.5
        events = [
            _rating(f"x{k}", f"i{item}", float(line[item] == (k % 2 == 0)), DECIDED_UTC - timedelta(days=1))
            for k in range(num_accounts)
            for item in range(self.ratings.num_items)
            if self.generator.random() < 0.9
        ]
        uncapped = replace(self.p, defences=replace(self.p.defences, influence_cap=_UNDEFENDED_INFLUENCE))
        for method, p in (("ours", self.p), ("undefended", uncapped)):
            before = _statuses(run_consensus(self.honest, p))
            after = _statuses(run_consensus([*self.honest, *events], p))
            good = [item for item, status in before.items() if status == HELPFUL and self.good[int(item[1:])]]
            bad = [item for item in before if self.bad[int(item[1:])] and before[item] != HELPFUL]
            yield ("busy accounts, good statuses before", method), float(len(good))
            yield ("busy accounts, good statuses lost", method), float(sum(after[item] != HELPFUL for item in good))
            yield ("busy accounts, newly bad", method), float(sum(after[item] == HELPFUL for item in bad))

    def _standing_on_junk(self) -> Iterable[tuple[tuple[str, str], float]]:
        everybody = replace(self.p, defences=replace(self.p.defences, standing_acts=0))
        for item in self._promotable():
            count = int(np.sum(self.ratings.items == int(item[1:])))
            junk = [
                _rating(f"x{k}", f"junk{n}", float(self.generator.random() < 0.7), DECIDED_UTC - timedelta(days=9))
                for k in range(count)
                for n in range(12)
            ]
            votes = [_rating(f"x{k}", item, 1.0, DECIDED_UTC - timedelta(days=1)) for k in range(count)]
            for method, p in (("ours", self.p), ("undefended", everybody)):
                after = _statuses(run_consensus([*self.honest, *junk, *votes], p))
                yield ("standing on junk, target helpful", method), float(after[item] == HELPFUL)

    def _turning_on_everything(self) -> Iterable[tuple[tuple[str, str], float]]:
        """Ten accounts turn on every status, while real raters change their minds about three items."""
        decided = [item for item, status in self.statuses.items() if status == HELPFUL]
        if len(decided) < 10:
            return
        honest_targets = {str(item) for item in self.generator.permutation(decided)[:3]}
        turned: list[FeedbackEvent] = []
        for event in self.honest:
            if isinstance(event, Rating) and event.item in honest_targets:
                turned.append(replace(event, id=f"turn{event.id}", value=0.0, created_utc=ATTACK_UTC))
        accounts = self._attackers_with_standing(10)
        attack = [_rating(f"x{k}", item, 0.0, ATTACK_UTC) for k in range(10) for item in decided]
        after = run_consensus([*self.honest, *accounts, *self.changes, *turned, *attack], self.p).snapshot
        alone = run_consensus([*self.honest, *accounts, *self.changes, *turned], self.p).snapshot
        honest_flips = {i.item for i in alone.items if i.previous == HELPFUL and i.status != HELPFUL}
        passed = {i.item for i in after.items if i.previous == HELPFUL and i.status != HELPFUL}
        if honest_flips:
            yield ("turning on everything, honest flips that pass", "ours"), len(passed & honest_flips) / len(honest_flips)
            frozen = after.flips > after.flips_allowed
            yield ("turning on everything, honest flips that pass", "undefended"), 0.0 if frozen else 1.0
        yield ("turning on everything, attackers' flips that pass", "ours"), len(passed - honest_targets) / len(decided)

    def _copies(self) -> Iterable[tuple[tuple[str, str], float]]:
        lenient = replace(self.p, defences=replace(self.p.defences, duplicate_min_acts=_UNDEFENDED_COPIES))
        counts = np.bincount(self.ratings.raters, minlength=self.ratings.num_raters)
        for item in self._promotable():
            model = int(self.generator.choice(np.flatnonzero(counts >= 13)))
            entries = np.flatnonzero((self.ratings.raters == model) & (self.ratings.items != int(item[1:])))[:12]
            count = int(np.sum(self.ratings.items == int(item[1:])))
            ring = [
                _rating(f"x{k}", f"i{self.ratings.items[e]}", float(self.ratings.values[e]), DECIDED_UTC - timedelta(days=9))
                for k in range(count)
                for e in entries
            ]
            votes = [_rating(f"x{k}", item, 1.0, DECIDED_UTC - timedelta(days=1)) for k in range(count)]
            for method, p in (("ours", self.p), ("undefended", lenient)):
                after = _statuses(run_consensus([*self.honest, *ring, *votes], p))
                yield ("equal histories of 12 acts, target helpful", method), float(after[item] == HELPFUL)

    def _honest_cost(self) -> Iterable[tuple[tuple[str, str], float]]:
        ratings = [event for event in self.honest if isinstance(event, Rating)]
        counted = sum(rating.actor in self.result.table.standing for rating in ratings)
        yield ("honest ratings that count", "ours"), counted / len(ratings)
        everybody = replace(self.p, defences=replace(self.p.defences, standing_acts=0, influence_cap=_UNDEFENDED_INFLUENCE))
        uncapped = replace(self.p, defences=replace(self.p.defences, influence_cap=_UNDEFENDED_INFLUENCE))
        for method, p in (("ours", self.p), ("undefended", uncapped), ("everybody counts, no cap", everybody)):
            statuses = _statuses(run_consensus(self.honest, p))
            yield ("statuses among honest raters", method), float(sum(status != NEEDS_MORE for status in statuses.values()))
        leavers = {f"u{u}" for u in self.generator.permutation(self.ratings.num_raters)[: self.ratings.num_raters // 10]}
        leave: list[FeedbackEvent] = [
            Retraction(id=f"t{rating.id}", created_utc=ATTACK_UTC + timedelta(seconds=k), actor=rating.actor, event=rating.id)
            for k, rating in enumerate(ratings)
            if rating.actor in leavers
        ]
        if self.changes:
            after = _statuses(run_consensus([*self.honest, *self.changes, *leave], self.p))
            lost = sum(
                after.get(item, NEEDS_MORE) != status for item, status in self.statuses.items() if status in DECIDED_STATUSES
            )
            yield ("a tenth of the raters leaves, statuses that fall", "ours"), lost / len(self.changes)


def _honest_log(ratings: SparseRatings, generator: np.random.Generator) -> list[FeedbackEvent]:
    admissions: list[FeedbackEvent] = [
        Admission(id=f"a{u:05d}", created_utc=START_UTC, actor="yearling", account=f"u{u}", basis="log")
        for u in range(ratings.num_raters)
    ]
    order = generator.permutation(ratings.size).tolist()
    return admissions + [
        _rating(
            f"u{ratings.raters[e]}", f"i{ratings.items[e]}", float(ratings.values[e]), START_UTC + timedelta(minutes=position)
        )
        for position, e in enumerate(order)
    ]


def _rating(actor: str, item: str, value: float, created_utc: datetime) -> Rating:
    return Rating(id=f"{actor}-{item}-{created_utc:%j}", created_utc=created_utc, actor=actor, item=item, value=value)


def _statuses(result: ConsensusResult) -> dict[str, str]:
    return {item.item: item.status for item in result.snapshot.items}
