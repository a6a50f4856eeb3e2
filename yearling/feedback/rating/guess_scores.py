"""How well a person knows what others prefer: their guesses, compared with what the others then judged.

A guess counts once at least `MIN_OTHERS` other people have judged the same and more of them lean one way than the other. The
person's own judgement is left out. Only the person sees the result.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from yearling.feedback.rating.judgement_index import JudgementIndex, Subject, preference_for_first
from yearling.store import GuessRecord

MIN_OTHERS = 3
"""So many other people must have judged something before a guess about it counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuessScore:
    """Of `made` guesses, how many count by now, and how many of those are right."""

    made: int
    counted: int
    right: int


def score_guesses(guesses: Iterable[GuessRecord], judgements: JudgementIndex, actor: str) -> GuessScore:
    """Score the guesses of one person. `actor` is their pseudonym in the log."""
    made = counted = right = 0
    for guess in guesses:
        made += 1
        subject: Subject = (guess.left_item, guess.right_item) if guess.right_item else (guess.left_item,)
        others = [preference_for_first(j) for person, j in judgements.latest(subject).items() if person != actor]
        lean = sum(others) - len(others) / 2
        if len(others) >= MIN_OTHERS and lean:
            counted += 1
            right += (lean > 0) == (guess.guess in ("left", "helpful"))
    return GuessScore(made=made, counted=counted, right=right)
