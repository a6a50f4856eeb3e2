"""What people do with corrections: add, change, delete. Keeps the memory, the judgements and the team's proposals consistent.

Acts take `can_judge`: whether the caller may act in the feedback log. Without it they write no judgement, and raise NotAllowed
where one would have to be withdrawn, or where the entry is one of the team's.

The memory is written first: if the power fails in between, the person's words are safe, and `settle_proposals` publishes what
was to be proposed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from yearling.errors import NotAllowed
from yearling.feedback.corrections.judgements import (
    find_corrected_answer,
    has_standing_edit,
    publish_correction,
    publish_proposals,
    require_own_edit,
    unpublish_correction,
    unpublish_corrections,
)
from yearling.feedback.corrections.team import settle_proposals
from yearling.feedback.log import FeedbackLog
from yearling.store import (
    UNCHANGED,
    AddedCorrection,
    Correction,
    CorrectionKind,
    CorrectionOrigin,
    CorrectionScope,
    Unchanged,
    question_key,
)

AddedCorrections = list[AddedCorrection]


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionPreview:
    """What adding an entry would do. `earlier` is the answer that it would replace.

    `status`: `new`; `known`, the person has it; `replaces` an own entry with another answer; or `repeated`, a later line of the
    same file has the question.
    """

    status: Literal["new", "known", "replaces", "repeated"]
    earlier: str = ""


def add_correction(
    log: FeedbackLog,
    person_id: str,
    question: str,
    answer: str,
    *,
    kind: CorrectionKind = "correction",
    scope: CorrectionScope = "me",
    origin: CorrectionOrigin = "page",
    message_id: str | None = None,
    event_id: str | None = None,
    suggested: bool | None = None,
    record_edit: bool | None = None,
    can_judge: bool = True,
) -> AddedCorrection:
    """Add an entry, and the edit of the answer that it corrects, unless `event_id` is one.

    Others can read the words of an edit. None for `record_edit` records one only if they may: it is proposed to the team, or
    there is nobody else. Raises as `CorrectionStore.add`.
    """
    if not can_judge:
        _refuse_judged(log, _same_questions(log, person_id, [question], kind=kind, scope=scope))
    if message_id is not None:
        find_corrected_answer(log, person_id, message_id)
    if event_id is not None:
        require_own_edit(log, person_id, event_id)
    added = log.store.corrections.add(
        person_id,
        question,
        answer,
        kind=kind,
        scope=scope,
        origin=origin,
        message_id=message_id,
        event_id=event_id,
        suggested=suggested,
    )
    if added.replaced is not None:
        unpublish_correction(log, added.replaced)
    if not added.is_new or added.correction.state == "suggested":
        return added
    wanted = record_edit if can_judge and event_id is None else False
    return replace(added, correction=_publish_and_settle(log, added.correction, record_edit=wanted))


def add_corrections(
    log: FeedbackLog,
    person_id: str,
    pairs: Sequence[tuple[str, str]],
    *,
    scope: CorrectionScope,
    source: str,
    can_judge: bool = True,
) -> AddedCorrections:
    """Add the questions and answers of a file, all or nothing. Of lines with the same question only the last one counts.

    Raises as `CorrectionStore.add_many`.
    """
    if not can_judge:
        questions = [question for question, _ in pairs]
        _refuse_judged(log, _same_questions(log, person_id, questions, kind="correction", scope=scope))
    added = log.store.corrections.add_many(person_id, pairs, scope=scope, source=source)
    unpublish_corrections(log, person_id, [each.replaced for each in added if each.replaced is not None])
    new = [each.correction for each in added if each.is_new]
    if scope == "team":
        publish_proposals(log, person_id, new)
        settle_proposals(log, {}, only={correction.id for correction in new})
    return added


def add_merged_corrections(
    log: FeedbackLog,
    person_id: str,
    pairs: Mapping[CorrectionScope, Sequence[tuple[str, str]]],
    *,
    source: str,
    expected_version: str,
    merge_id: str,
    detail: Mapping[str, object],
) -> AddedCorrections:
    """Add entries of other installations, all or nothing. Those for the team are proposed to it. Raises as `add_merged`."""
    added = log.store.corrections.add_merged(
        person_id, pairs, source=source, expected_version=expected_version, merge_id=merge_id, detail=detail
    )
    unpublish_corrections(log, person_id, [each.replaced for each in added if each.replaced is not None])
    proposed = [each.correction for each in added if each.is_new and each.correction.scope == "team"]
    publish_proposals(log, person_id, proposed)
    settle_proposals(log, {}, only={correction.id for correction in proposed})
    return added


def preview_corrections(
    log: FeedbackLog, person_id: str, pairs: Sequence[tuple[str, str]], *, scope: CorrectionScope
) -> list[CorrectionPreview]:
    """What `add_corrections` would do with each question and answer."""
    own = [entry for entry in log.store.corrections.list(person_id) if (entry.kind, entry.scope) == ("correction", scope)]
    known = {question_key(entry.question): entry.answer for entry in reversed(own)}
    keys = [question_key(question) for question, _ in pairs]
    last = {key: number for number, key in enumerate(keys)}
    previews = []
    for number, (key, (_, answer)) in enumerate(zip(keys, pairs, strict=True)):
        earlier = known.get(key)
        if last[key] != number:
            previews.append(CorrectionPreview(status="repeated"))
        elif earlier is None:
            previews.append(CorrectionPreview(status="new"))
        elif earlier.casefold() == answer.casefold():
            previews.append(CorrectionPreview(status="known", earlier=earlier))
        else:
            previews.append(CorrectionPreview(status="replaces", earlier=earlier))
    return previews


def change_correction(
    log: FeedbackLog,
    person_id: str,
    correction_id: str,
    *,
    question: str | Unchanged = UNCHANGED,
    answer: str | Unchanged = UNCHANGED,
    active: bool | Unchanged = UNCHANGED,
    scope: CorrectionScope | Unchanged = UNCHANGED,
    can_judge: bool = True,
) -> Correction:
    """Reword an entry, switch it on or off, or propose it to the team. Raises as `CorrectionStore.update`."""
    before = log.store.corrections.get(correction_id, person_id=person_id)
    if not can_judge and not question is answer is scope is UNCHANGED:
        _refuse_judged(log, [before])
    after = log.store.corrections.update(
        correction_id, person_id=person_id, question=question, answer=answer, active=active, scope=scope
    )
    if after.state == "suggested" or _shown(before) == _shown(after):
        return after
    had_edit = has_standing_edit(log, before)
    unpublish_correction(log, before)
    wanted = had_edit or (None if before.event_id is None else False)
    return _publish_and_settle(log, after, record_edit=wanted if can_judge else False)


def confirm_correction(log: FeedbackLog, person_id: str, correction_id: str, *, can_judge: bool = True) -> Correction:
    """Let a suggested entry act. Raises NotFound."""
    store = log.store.corrections
    before = store.get(correction_id, person_id=person_id)
    others = [each for each in store.list(person_id) if question_key(each.question) == question_key(before.question)]
    if not can_judge:
        same = _same_questions(log, person_id, [before.question], kind=before.kind, scope=before.scope)
        _refuse_judged(log, [before, *same])
    after = store.confirm(correction_id, person_id=person_id)
    kept = {each.id for each in store.list(person_id)}
    unpublish_corrections(log, person_id, [each for each in others if each.id not in kept])
    return _publish_and_settle(log, after, record_edit=None if can_judge else False) if before.state == "suggested" else after


def delete_correction(log: FeedbackLog, person_id: str, correction_id: str, *, can_judge: bool = True) -> None:
    """Delete an entry with its history, retract its judgement and take it back from the team. Raises NotFound."""
    log.store.corrections.history(correction_id, person_id=person_id)  # its own person only
    correction = log.store.corrections.get(correction_id, person_id=person_id)
    if not can_judge:
        _refuse_judged(log, [correction])
    unpublish_correction(log, correction)
    log.store.corrections.delete(correction_id, person_id=person_id)


def delete_all_corrections(log: FeedbackLog, person_id: str, *, can_judge: bool = True) -> int:
    """Delete all entries of a person, as `delete_correction` does. Returns how many there were."""
    own = log.store.corrections.list(person_id)
    if not can_judge:
        _refuse_judged(log, own)
    unpublish_corrections(log, person_id, own)
    return log.store.corrections.delete_all(person_id)


def _same_questions(
    log: FeedbackLog, person_id: str, questions: Sequence[str], *, kind: CorrectionKind, scope: CorrectionScope
) -> list[Correction]:
    """The entries that adding these questions would replace."""
    keys = set(map(question_key, questions))
    own = log.store.corrections.list(person_id)
    return [entry for entry in own if (entry.kind, entry.scope) == (kind, scope) and question_key(entry.question) in keys]


def _refuse_judged(log: FeedbackLog, corrections: Sequence[Correction]) -> None:
    """Raises NotAllowed if the log has a judgement for one of these entries, or the team."""
    if any(correction.scope == "team" or has_standing_edit(log, correction) for correction in corrections):
        raise NotAllowed("Changing a correction that is recorded as a judgement needs an API key with the scope feedback.")


def _shown(correction: Correction) -> tuple[str, str, str]:
    """What the log and the team see of an entry."""
    return (correction.scope, correction.question if correction.scope == "team" else "", correction.answer)


def _publish_and_settle(log: FeedbackLog, correction: Correction, *, record_edit: bool | None) -> Correction:
    if record_edit is None:
        record_edit = correction.scope == "team" or len(log.store.people.list()) == 1
    published = publish_correction(log, correction, record_edit=record_edit)
    if published.scope == "team":
        settle_proposals(log, {}, only={published.id})
        return log.store.corrections.get(published.id, person_id=published.person_id)
    return published
