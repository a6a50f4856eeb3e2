"""A status in plain words: who found what, by side and never by name, and what is missing.

Turns an `ItemResult` into sentences. Decides nothing.
"""

from __future__ import annotations

from yearling.feedback.snapshot import ItemResult, SideResult, Snapshot
from yearling.feedback.status_rules import HELPFUL, NEEDS_MORE, NOT_HELPFUL, StatusParameters, StatusRule

STATUS_TITLES = {HELPFUL: "Helpful", NOT_HELPFUL: "Not helpful", NEEDS_MORE: "Needs more ratings"}

REASON_SENTENCES = {
    "both_sides": "Raters on both sides agree, with room for doubt on each.",
    "kept": "It had this status before, and what has come since does not overturn it.",
    "jury_upholds": "It had this status before, and a jury drawn by lot upholds it.",
    "jury_veto": "A jury drawn by lot found otherwise, so it has no status.",
    "too_young": "Both sides agree, but the first rating is too recent: others get time to look.",
    "no_quorum": "Too few ratings count so far.",
    "no_agreement": "The two sides do not both come down clearly on one side of the question.",
    "rests_on_most_active": "Both sides would agree, but only because of the few most active raters.",
    "waits_for_others": "It would have a status, but one person alone acted since the last change, and moves one at most.",
    "held_by_flip_cap": "Too many statuses would have changed in one run, so none did. People should look why.",
}


def explain_item(result: ItemResult, p: StatusParameters, *, division_seen: bool) -> list[str]:
    """Sentences, most important first: the status and why, each side's view, what is missing, what was set aside."""
    lines = [f"{STATUS_TITLES.get(result.status, result.status)}. {REASON_SENTENCES.get(result.reason, result.reason)}"]
    lines += [_explain_side(f"Side {name}", view) for name, view in zip("AB", result.sides, strict=True)]
    if result.status == NEEDS_MORE:
        lines += explain_missing(result, p)
    if result.jury:
        lines.append(f"The jury's finding: {STATUS_TITLES.get(result.jury, 'it is split')}.")
    if result.uncounted:
        lines.append(
            f"{_format_num_ratings(result.uncounted)} not counted: their raters had judged too little before, or echo another."
        )
    if not division_seen:
        lines.append("No line of division is visible yet; the two sides are a first guess, and both must still agree.")
    return lines


def explain_missing(result: ItemResult, p: StatusParameters) -> list[str]:
    """What would be needed for a status: ratings by side first, then certainty."""
    quorum = _find_rule(p, "quorum")
    lines = []
    total = sum(view.ratings for view in result.sides)
    if total < quorum.min_total:
        lines.append(f"Missing: {quorum.min_total - total} more counted ratings in all.")
    for name, view in zip("AB", result.sides, strict=True):
        if view.ratings < quorum.min_side:
            lines.append(f"Missing: {quorum.min_side - view.ratings} more counted ratings from side {name}.")
    if not lines and result.reason == "no_agreement":
        lines += _explain_disagreement(result, p)
    return lines


def _explain_disagreement(result: ItemResult, p: StatusParameters) -> list[str]:
    helpful, unhelpful = _find_rule(p, "helpful"), _find_rule(p, "not_helpful")
    verdicts = []
    for view in result.sides:
        if view.chance >= 1.0 - helpful.doubt and view.estimate >= helpful.floor:
            verdicts.append("approves")
        elif view.chance <= unhelpful.doubt and 1.0 - view.estimate >= unhelpful.floor:
            verdicts.append("disapproves")
        else:
            verdicts.append("has not settled")
    if set(verdicts) == {"approves", "disapproves"}:
        return ["One side approves and the other disapproves: more of the same ratings will not change that."]
    return [f"Side {name} {verdict}." for name, verdict in zip("AB", verdicts, strict=True)]


def explain_snapshot(snapshot: Snapshot) -> list[str]:
    """What a run found on the whole."""
    raters = snapshot.raters
    statuses = [result.status for result in snapshot.items]
    lines = [
        f"{raters.get('taking_part', 0)} of {raters.get('seen', 0)} raters count: "
        f"{raters.get('side_0', 0)} on side A, {raters.get('side_1', 0)} on side B.",
        "Raters divide along a line that chance does not explain."
        if snapshot.division.seen
        else "No line of division is visible; the two-sided rule applies all the same.",
        f"{statuses.count(HELPFUL)} helpful, {statuses.count(NOT_HELPFUL)} not helpful, "
        f"{statuses.count(NEEDS_MORE)} need more ratings.",
    ]
    training = [pair for pair in snapshot.pairs if pair.weight > 0.0]
    if snapshot.pairs:
        provisional = " Provisional: too few raters to know better than a plain count." if snapshot.pairs[0].provisional else ""
        lines.append(f"{len(training)} of {len(snapshot.pairs)} compared pairs can train.{provisional}")
    if snapshot.held:
        lines.append(f"{snapshot.flips} statuses would have changed and {snapshot.flips_allowed} may: all were held.")
    lines += [f"Set aside: {count} ({reason})." for reason, count in snapshot.dropped.items()]
    lines += [f"An administrator removed {event}: {reason}." for event, reason in snapshot.removals]
    return lines


def _explain_side(name: str, view: SideResult) -> str:
    if not view.ratings:
        return f"{name} has not rated it; from what else its raters say, about {view.estimate:.0%} would approve."
    return (
        f"{name}: {_format_num_ratings(view.ratings)}, {view.approval / view.ratings:.0%} approval; "
        f"the chance that at least half of this side approves is {view.chance:.0%}."
    )


def _format_num_ratings(count: int) -> str:
    return "1 rating" if count == 1 else f"{count} ratings"


def _find_rule(p: StatusParameters, rule_id: str) -> StatusRule:
    return next(rule for rule in p.rules if rule.id == rule_id)
