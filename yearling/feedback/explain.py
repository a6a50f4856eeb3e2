"""Explains results in sentences for people who know no statistics: what people think, never who, and what would change it.

Turns an `ItemResult` or a `Snapshot` into English text, and finds the items that tell best what each side likes. Decides nothing.
Only where the division decides at least half of a result do sentences speak of two sides; else they speak of the team.
"""

from __future__ import annotations

from collections.abc import Collection

from yearling.feedback.item_labels import PEOPLE_ARE_DIVIDED, shows_two_sides
from yearling.feedback.rating_table import COPY, NEW_ACCOUNT
from yearling.feedback.snapshot import ItemResult, SideResult, Snapshot
from yearling.feedback.status_rules import HELPFUL, NEEDS_MORE, NOT_HELPFUL, StatusParameters

MAX_TELLING_ITEMS = 3

AGREEMENT_IS_NEW = "agreement_is_new"
"""Shown in place of `needs_more_ratings` where only time is missing, not ratings."""

STATUS_TITLES = {
    HELPFUL: "Helpful",
    NOT_HELPFUL: "Not helpful",
    NEEDS_MORE: "Needs more ratings",
    PEOPLE_ARE_DIVIDED: "People are divided",
    AGREEMENT_IS_NEW: "People agree so far",
}

REASON_SENTENCES = {
    "both_sides": "Both sides agree, with a margin for doubt on each.",
    "team_agrees": "Your team agrees.",
    "kept": "It had this status before, and newer ratings do not overturn it.",
    "jury_upholds": "It had this status before, and a jury drawn by lot upholds it.",
    "jury_veto": "A jury drawn by lot disagreed, so it has no status.",
    "too_young": "It gets a status later: the first rating is recent, and others get time to look.",
    "no_quorum": "Too few ratings count so far.",
    "no_agreement": "People do not clearly agree.",
    "other_side_missing": "Enough people judged it, but almost all are of one side: ratings of the other are missing.",
    "rests_on_most_active": "People would agree, but only because of the few most active among them.",
    "waits_for_others": "It would have a status, but only one person acted since the last change and can change one at most.",
    "held_by_flip_cap": "It would have changed, but only because of people who would have changed many at once. Somebody should "
    "find out why.",
}

UNCOUNTED_REASONS = {
    NEW_ACCOUNT: "the account signed up alone, or was imported, and has judged too little so far",
    COPY: "copies of another account's ratings",
}
"""Plain words for reasons why a snapshot does not count acts. Other reasons are plain already."""

_AGREEING_REASONS = ("both_sides", "team_agrees")
_QUORUM_SENTENCE = "It needs ratings of half of the people who take part: at least two, and never more than five."
_UNCOUNTED_SENTENCES = {
    "new_account": "An account that nobody invited counts after three judgements of other people's items that are decided, and "
    "then with its earlier ones as well. Invited people count at once.",
    "copy": "An account that repeats another account's ratings does not count.",
}


def display_status(result: ItemResult) -> str:
    """Return the status as people see it: in place of `needs_more_ratings`, `people_are_divided` or `agreement_is_new` where more
    ratings alone will not help."""
    if result.status == NEEDS_MORE and result.reason == "too_young":
        return AGREEMENT_IS_NEW
    is_divided = result.label_reason == PEOPLE_ARE_DIVIDED and result.reason != "no_quorum"
    return PEOPLE_ARE_DIVIDED if result.status == NEEDS_MORE and is_divided else result.status


def explain_item(result: ItemResult, p: StatusParameters, *, degree: float, is_note: bool = False) -> list[str]:
    """Return sentences, most important first: the status and why, what people think, what it means for learning, what is missing
    for a status, and what is not counted.

    `degree` is the degree of the run's visible division. Nothing is learnt from notes, so `is_note` leaves that sentence out.
    """
    lines = [f"{explain_status(result)} {_explain_reason(result, degree)}"]
    if result.judged and shows_two_sides(degree):
        lines += [_explain_side(f"side {name}", side) for name, side in zip("AB", result.sides, strict=True)]
    elif result.judged and result.reason not in _AGREEING_REASONS:
        lines.append(f"{_count_approvals(result.approval, result.judged)}.".capitalize())
    if result.status == NEEDS_MORE:
        lines += explain_missing(result, p, degree=degree)
    if result.jury:
        lines.append(f"The verdict of the jury: {STATUS_TITLES.get(result.jury, 'it is split')}.")
    if not is_note:
        lines.append(_explain_lesson(result))
    for reason, count in result.uncounted.items():
        verb = "does not" if count == 1 else "do not"
        lines.append(f"{_format_count(count, 'rating')} {verb} count. {_UNCOUNTED_SENTENCES.get(reason, _plain(reason) + '.')}")
    return lines


def explain_status(result: ItemResult) -> str:
    """Return the title of the status as people see it, as a sentence."""
    status = display_status(result)
    return f"{STATUS_TITLES.get(status, _plain(status))}."


def explain_missing(result: ItemResult, p: StatusParameters, *, degree: float) -> list[str]:
    """Return what would give the item a status."""
    if result.reason == "no_quorum":
        return [_QUORUM_SENTENCE]
    if result.reason == "no_agreement" and shows_two_sides(degree):
        return _explain_disagreement(result, p)
    return []


def find_telling_items(snapshot: Snapshot, items: Collection[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return, for each side, up to `MAX_TELLING_ITEMS` of these items that tell what it likes: those that it approves of and the
    other side does not. The most telling comes first: a large difference between the sides, from many ratings on both.

    Returns nothing where the run shows no two sides.
    """
    if not snapshot.crowd.two_sides:
        return (), ()
    wanted = set(items)
    scored: tuple[list[tuple[float, str]], list[tuple[float, str]]] = ([], [])
    for result in snapshot.items:
        first, second = result.sides
        if result.item not in wanted or (first.estimate - 0.5) * (second.estimate - 0.5) >= 0.0:
            continue
        fewest = min(first.ratings, second.ratings)
        if fewest:
            difference = first.estimate - second.estimate
            scored[0 if difference > 0 else 1].append((abs(difference) * fewest / (fewest + 1.0), result.item))
    top = [sorted(side, key=lambda entry: (-entry[0], entry[1]))[:MAX_TELLING_ITEMS] for side in scored]
    return tuple(item for _, item in top[0]), tuple(item for _, item in top[1])


def explain_snapshot(snapshot: Snapshot) -> list[str]:
    """Return sentences about a run as a whole: people, sides, statuses, what can be learnt, and what was not counted."""
    raters = snapshot.raters
    seen, counted = raters.get("seen", 0), raters.get("counted", 0)
    statuses = [display_status(result) for result in snapshot.items]
    num_undecided = statuses.count(NEEDS_MORE)
    lines = [f"{_format_count(seen, 'person', 'people')} judged answers; the judgements of {counted} count."]
    if snapshot.crowd.two_sides:
        side_a, side_b = raters.get("side_0", 0), raters.get("side_1", 0)
        lines.append(f"They form two sides: {side_a} on side A, {side_b} on side B. A status needs both.")
    else:
        lines.append("No two sides are visible: people judge alike, or are too few to tell. Everybody counts together.")
    lines.append(
        f"{statuses.count(HELPFUL)} helpful, {statuses.count(NOT_HELPFUL)} not helpful, "
        f"{statuses.count(PEOPLE_ARE_DIVIDED)} on which people are divided, "
        f"{num_undecided} {'needs' if num_undecided == 1 else 'need'} more ratings."
    )
    if num_new := statuses.count(AGREEMENT_IS_NEW):
        lines.append(f"On {num_new} more people agree so far: {'it gets' if num_new == 1 else 'they get'} a status later.")
    if snapshot.items:
        num_lessons = sum(1 for result in snapshot.items if result.weight > 0.0)
        lines.append(f"{num_lessons} of {_format_count(len(snapshot.items), 'rated item')} can be learnt from.")
    if snapshot.pairs:
        num_training_pairs = sum(1 for pair in snapshot.pairs if pair.weight > 0.0)
        lines.append(f"{num_training_pairs} of {_format_count(len(snapshot.pairs), 'compared pair')} can be learnt from.")
    if snapshot.held:
        held = _format_count(snapshot.held, "status was", "statuses were")
        lines.append(
            f"{held} held: {snapshot.flips} would have changed in one run, at most {snapshot.flips_allowed} may, and these rest "
            "on people who would have changed more than that."
        )
    lines += [
        f"Not counted: {_format_count(count, 'act')} ({UNCOUNTED_REASONS.get(reason, reason)})."
        for reason, count in snapshot.dropped.items()
    ]
    lines += [f"An administrator removed {event}: {reason}." for event, reason in snapshot.removals]
    return lines


def _explain_reason(result: ItemResult, degree: float) -> str:
    if result.reason in _AGREEING_REASONS:
        if shows_two_sides(degree):
            return REASON_SENTENCES["both_sides"]
        return f"Your team agrees: {_count_opinions(result)}."
    if display_status(result) == PEOPLE_ARE_DIVIDED:
        return "Some find it helpful and others do not: more ratings of the same kind will not change that."
    if not result.judged and result.reason == "no_quorum":
        return "Nobody whose ratings count has judged it yet." if result.uncounted else "Nobody has rated it yet."
    return REASON_SENTENCES.get(result.reason, f"{_plain(result.reason)}.")


def _explain_side(name: str, side: SideResult) -> str:
    ratings, approval = whole_ratings(side)
    if not ratings:
        return f"No rating that counts comes from {name} yet."
    return f"On {name}, {_count_approvals(approval, ratings)}."


def whole_ratings(side: SideResult) -> tuple[int, float]:
    """Return a side's ratings and their sum, for people: raters belong to both sides by shares, and are rounded here."""
    ratings = round(side.ratings)
    return ratings, min(float(ratings), round(2.0 * side.approval) / 2.0)


def _explain_disagreement(result: ItemResult, p: StatusParameters) -> list[str]:
    helpful, not_helpful = p.find_rule("helpful"), p.find_rule("not_helpful")
    views = []
    for side in result.sides:
        if side.chance >= 1.0 - helpful.doubt and side.estimate >= helpful.floor:
            views.append("clearly approves")
        elif side.chance <= not_helpful.doubt and 1.0 - side.estimate >= not_helpful.floor:
            views.append("clearly disapproves")
        else:
            views.append("is undecided")
    if set(views) == {"clearly approves", "clearly disapproves"}:
        return ["One side clearly approves and the other clearly disapproves."]
    return [f"Side {name} {view}." for name, view in zip("AB", views, strict=True)]


def _explain_lesson(result: ItemResult) -> str:
    if result.weight > 0.0:
        kind = "good" if result.label > 0 else "bad"
        return f"The assistant can learn from it, as a {kind} example with a weight of {result.weight:.2f} out of 1."
    if display_status(result) == PEOPLE_ARE_DIVIDED:
        return "The assistant learns nothing from it while people are divided."
    return "The assistant learns nothing from its ratings yet."


def _count_opinions(result: ItemResult) -> str:
    """Return how many people hold the opinion that the status states."""
    if result.status == NOT_HELPFUL:
        return _count_approvals(result.judged - result.approval, result.judged, "not helpful")
    return _count_approvals(result.approval, result.judged)


def _count_approvals(approval: float, ratings: int, opinion: str = "helpful") -> str:
    """Return "4 of 5 find it helpful"; a rating of one half counts as half a person."""
    count = f"all {ratings}" if approval == ratings and ratings > 2 else f"{_format_halves(approval)} of {ratings}"
    verb = "finds" if ratings == 1 else "find"
    remark = "" if approval == int(approval) else ", where “somewhat” counts half"
    return f"{count} {verb} it {opinion}{remark}"


def _format_halves(number: float) -> str:
    whole, rest = int(number), number - int(number)
    if rest == 0.0:
        return str(whole)
    return f"{whole or ''}½" if rest == 0.5 else f"{number:.1f}"


def _format_count(count: int, noun: str, plural: str = "") -> str:
    return f"{count} {noun if count == 1 else plural or f'{noun}s'}"


def _plain(code: str) -> str:
    return code.replace("_", " ").capitalize()
