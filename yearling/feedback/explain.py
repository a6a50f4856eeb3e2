"""Explains a status in sentences: what each side thinks, never who, and what is missing for a status.

Turns an `ItemResult` or a `Snapshot` into English text. Decides nothing.
"""

from __future__ import annotations

from yearling.feedback.snapshot import ItemResult, SideResult, Snapshot
from yearling.feedback.status_rules import HELPFUL, NEEDS_MORE, NOT_HELPFUL, StatusParameters

STATUS_TITLES = {HELPFUL: "Helpful", NOT_HELPFUL: "Not helpful", NEEDS_MORE: "Needs more ratings"}

REASON_SENTENCES = {
    "both_sides": "Raters on both sides agree, with a margin for doubt on each.",
    "kept": "It had this status before, and newer ratings do not overturn it.",
    "jury_upholds": "It had this status before, and a jury drawn by lot upholds it.",
    "jury_veto": "A jury drawn by lot disagreed, so it has no status.",
    "too_young": "Both sides agree, but the first rating is too recent: other people get time to look.",
    "no_quorum": "Too few ratings count so far.",
    "no_agreement": "The two sides do not both clearly approve, or both clearly disapprove.",
    "rests_on_most_active": "Both sides would agree, but only because of the few most active raters.",
    "waits_for_others": "It would have a status, but only one person acted since the last change and can change one at most.",
    "held_by_flip_cap": "Too many statuses would have changed in one run, so none did. Somebody should find out why.",
}

UNCOUNTED_REASONS = {
    "account without a valid vouch": "nobody vouches for the account",
    "rater with too few acts so far": "the rater has acted too rarely so far",
    "history nearly the same as another's": "the rater repeats another rater",
}
"""Plain words for reasons why a snapshot does not count acts. Other reasons are plain already."""


def explain_item(result: ItemResult, p: StatusParameters, *, division_seen: bool) -> list[str]:
    """Return sentences, most important first: the status and why, the view of each side, what is missing, what is not counted."""
    lines = [f"{STATUS_TITLES.get(result.status, result.status)}. {REASON_SENTENCES.get(result.reason, result.reason)}"]
    lines += [_explain_side(f"Side {name}", side) for name, side in zip("AB", result.sides, strict=True)]
    if result.status == NEEDS_MORE:
        lines += explain_missing(result, p)
    if result.jury:
        lines.append(f"The verdict of the jury: {STATUS_TITLES.get(result.jury, 'it is split')}.")
    if result.uncounted:
        num_uncounted = _format_count(sum(result.uncounted.values()), "rating")
        lines.append(f"{num_uncounted} not counted: their raters have judged too little, or repeat another rater.")
    if not division_seen:
        lines.append("The ratings show no division yet. The two sides are a first guess, and both must still agree.")
    return lines


def explain_missing(result: ItemResult, p: StatusParameters) -> list[str]:
    """Return what is missing for a status: ratings, by side, then agreement."""
    quorum = p.find_rule("quorum")
    lines = []
    if result.judged < quorum.min_total:
        lines.append(f"Missing: {_format_count(quorum.min_total - result.judged, 'more counted rating')} in total.")
    if not lines and result.reason == "no_agreement":
        lines += _explain_disagreement(result, p)
    return lines


def _explain_disagreement(result: ItemResult, p: StatusParameters) -> list[str]:
    helpful, not_helpful = p.find_rule("helpful"), p.find_rule("not_helpful")
    views = []
    for side in result.sides:
        if side.chance >= 1.0 - helpful.doubt and side.estimate >= helpful.floor:
            views.append("approves")
        elif side.chance <= not_helpful.doubt and 1.0 - side.estimate >= not_helpful.floor:
            views.append("disapproves")
        else:
            views.append("is undecided")
    if set(views) == {"approves", "disapproves"}:
        return ["One side approves and the other disapproves: more ratings of the same kind will not change that."]
    return [f"Side {name} {view}." for name, view in zip("AB", views, strict=True)]


def explain_snapshot(snapshot: Snapshot) -> list[str]:
    """Return sentences about a run as a whole: raters, division, statuses, pairs, and what was not counted."""
    raters = snapshot.raters
    statuses = [result.status for result in snapshot.items]
    num_undecided = statuses.count(NEEDS_MORE)
    lines = [
        f"{_format_count(raters.get('seen', 0), 'rater')}, {raters.get('taking_part', 0)} counted: "
        f"{raters.get('side_0', 0)} on side A, {raters.get('side_1', 0)} on side B.",
        "Raters divide along a line that chance does not explain."
        if snapshot.division.seen
        else "The ratings show no division between raters. A status still needs agreement of both sides.",
        f"{statuses.count(HELPFUL)} helpful, {statuses.count(NOT_HELPFUL)} not helpful, "
        f"{num_undecided} {'needs' if num_undecided == 1 else 'need'} more ratings.",
    ]
    num_training_pairs = sum(1 for pair in snapshot.pairs if pair.weight > 0.0)
    if snapshot.pairs:
        provisional = ""
        lines.append(
            f"{_format_count(len(snapshot.pairs), 'compared pair')}, {num_training_pairs} usable for training.{provisional}"
        )
    if snapshot.held:
        flips = _format_count(snapshot.flips, "status", "statuses")
        lines.append(f"{flips} would have changed, but at most {snapshot.flips_allowed} may: all keep their status.")
    lines += [
        f"Not counted: {_format_count(count, 'act')} ({UNCOUNTED_REASONS.get(reason, reason)})."
        for reason, count in snapshot.dropped.items()
    ]
    lines += [f"An administrator removed {event}: {reason}." for event, reason in snapshot.removals]
    return lines


def _explain_side(name: str, side: SideResult) -> str:
    if not side.ratings:
        return f"{name} has not rated it. Judging by its raters' other ratings, about {side.estimate:.0%} would approve."
    return (
        f"{name}: {_format_count(round(side.ratings), 'rating')}, {side.approval / side.ratings:.0%} approval; "
        f"the chance that at least half of this side approves is {side.chance:.0%}."
    )


def _format_count(count: int, noun: str, plural: str = "") -> str:
    return f"{count} {noun if count == 1 else plural or f'{noun}s'}"
