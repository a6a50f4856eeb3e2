"""Corrections for the team: the text that others rate, and the states that follow from the consensus."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from yearling.clock import now_utc
from yearling.errors import NotFound
from yearling.feedback.consensus_runs import RecordedConsensusRun
from yearling.feedback.corrections.judgements import publish_correction
from yearling.feedback.corrections.verdicts import WORDS_GONE, TeamState, TeamVerdict, judge_proposal
from yearling.feedback.log import FeedbackLog
from yearling.feedback.snapshot import ItemResult
from yearling.store import find_name_mentions

_JUDGING_ROLES = ("owner", "maintainer", "member")
_ADMINISTRATORS = ("owner", "maintainer")
_FIRST_OWNER_NAME = "owner"
_REPAIR_AFTER = timedelta(minutes=1)
"""A proposal that nobody can rate this long after it was made was interrupted, and is published again."""


def name_mentions(log: FeedbackLog, texts: Sequence[str]) -> list[str]:
    """The passages of these texts that look like names of people here, so that a person can take them out before proposing."""
    return find_name_mentions(texts, (person.name for person in log.store.people.list() if person.name != _FIRST_OWNER_NAME))


def settle_after_run(log: FeedbackLog, run: RecordedConsensusRun) -> None:
    """Let the corrections that are proposed to the team follow a consensus run."""
    settle_proposals(log, {result.item: result for result in run.snapshot.items})


def settle_proposals(log: FeedbackLog, results: Mapping[str, ItemResult], *, only: Collection[str] | None = None) -> int:
    """Record what the consensus says about the corrections that are proposed to the team, accepted or declined by it.

    `results` are those of a run, by item; `only` limits it to some corrections. Returns how many changed their state.
    """
    proposals = log.store.corrections.list_proposals()
    if only is not None:
        proposals = [proposal for proposal in proposals if proposal.id in only]
    if not proposals:
        return 0
    roles = {person.id: person.role for person in log.store.people.list() if person.closed_utc is None}
    judges = {person_id for person_id, role in roles.items() if role in _JUDGING_ROLES}
    gone = _withdrawn_items(log, [proposal.item for proposal in proposals if proposal.item is not None])
    verdicts: dict[str, tuple[TeamState, str]] = {}
    for proposal in proposals:
        item = proposal.item
        if item is None:
            if proposal.updated_utc > now_utc() - _REPAIR_AFTER:
                continue
            try:
                item = publish_correction(log, log.store.corrections.get(proposal.id, person_id=proposal.person_id)).item
            except NotFound:  # deleted in the meantime
                continue
        if item in gone:
            verdicts[item] = ("declined", TeamVerdict(state="declined", reason=WORDS_GONE).pack())
        elif item is not None:
            verdict = judge_proposal(
                results.get(item),
                was_active=proposal.state == "active",
                num_others=len(judges - {proposal.person_id}),
                by_administrator=roles.get(proposal.person_id) in _ADMINISTRATORS,
            )
            verdicts[item] = (verdict.state, verdict.pack())
    return log.store.corrections.settle(verdicts)


def _withdrawn_items(log: FeedbackLog, items: Sequence[str]) -> set[str]:
    """Those of the items whose words are gone, or whose edit was withdrawn."""
    gone = set(items) - log.store.texts.existing_ids(items)
    with log.index.consistent_view() as index:
        for item in items:
            authoring = index.authoring_event(item)
            if authoring is not None and index.withdrawal_of(authoring.id) is not None:
                gone.add(item)
    return gone
