"""Guess a number in a few turns: a sparse reward that depends on guesses several turns earlier.

The game answers `Higher` or `Lower`. Binary search always wins within the default number of turns. Guessing at random without
repetition wins turns / span of the games, and always guessing the same number wins 1 / span (`tests/tasks/test_guess_number.py`
measures all three). The range changes from game to game. The range, not the secret, decides whether a game belongs to training or
to exams: otherwise training would reveal which numbers are never the secret.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from yearling.checks import read_numbers
from yearling.errors import BadInput
from yearling.tasks.environments.protocol import Task, TaskMessage, Transcript, TranscriptMessage, task_key
from yearling.tasks.environments.seeds import draw_for_part, shot_seed


@dataclass(frozen=True)
class GuessNumber:
    """The range has `span` numbers and starts at 1 to `largest_start`; the model has `turns` guesses.

    The prompt starts with `shots` games played by binary search, always the same ones. Raises BadInput for settings out of range.
    """

    span: int = 16
    turns: int = 5
    largest_start: int = 80
    shots: int = 1

    name: ClassVar[str] = "guess_number"
    summary: ClassVar[str] = "Find a number from answers 'higher' and 'lower' in a few turns; rewarded only when it is found."

    def __post_init__(self) -> None:
        if not 2 <= self.span <= 10**6 or not 1 <= self.turns <= 100 or not 1 <= self.largest_start <= 10**6:
            raise BadInput(
                "guess_number needs a span from 2 to 1,000,000, turns from 1 to 100, and a largest_start from 1 to 1,000,000."
            )
        if not 0 <= self.shots <= 10:
            raise BadInput("shots must be from 0 to 10.", param="shots")

    def task(self, seed: int) -> Task:
        """Return the game of this seed. Raises BadInput for other seeds."""
        examples = [self._opening_task(*self._draw_game(shot_seed(index))) for index in range(self.shots)]
        example_ranges = [_range_key(game.data) for game in examples]
        low, secret = draw_for_part(seed, self._draw_game, lambda game: f"from {game[0]}, {self.span}", excluded=example_ranges)
        game = self._opening_task(low, secret)
        example_messages = [
            message for example in examples for message in (*example.messages, *self._binary_search_transcript(example))
        ]
        return Task(game.key, (*example_messages, *game.messages), game.environment, game.data)

    def _opening_task(self, low: int, secret: int) -> Task:
        high = low + self.span - 1
        text = (
            f"I am thinking of a number from {low} to {high}. You have {self.turns} guesses. "
            "Answer with one number only. I will say higher or lower."
        )
        return Task(
            key=task_key(self.name, [low, high, self.turns, secret]),
            messages=({"role": "user", "content": text},),
            environment=self.name,
            data={"low": low, "high": high, "secret": secret, "turns": self.turns},
        )

    def _binary_search_transcript(self, game: Task) -> list[TaskMessage]:
        """Return the transcript of the game played by binary search, as far as the turns allow."""
        low, high, secret = game.data["low"], game.data["high"], game.data["secret"]
        transcript: list[TaskMessage] = []
        while True:
            guess = (low + high) // 2
            transcript.append({"role": "assistant", "content": str(guess)})
            reply = self.reply(game, transcript)
            if reply is None:
                return transcript
            transcript.append(reply)
            low, high = (guess + 1, high) if secret > guess else (low, guess - 1)

    def reward(self, task: Task, transcript: Transcript) -> float:
        """Return 1.0 if the secret is among the allowed guesses, otherwise 0.0."""
        guesses = _parse_guesses(transcript)[: int(task.data["turns"])]
        return float(task.data["secret"] in guesses)

    def reply(self, task: Task, transcript: Transcript) -> TaskMessage | None:
        """Return the hint after the last guess, or None if the game is over."""
        guesses = _parse_guesses(transcript)
        if not guesses:
            return None
        low, high, secret = task.data["low"], task.data["high"], task.data["secret"]
        num_left = int(task.data["turns"]) - len(guesses)
        guess = guesses[-1]
        if num_left <= 0 or secret in guesses:
            return None
        if guess is None or not low <= guess <= high:
            hint = f"Answer with one number from {low} to {high}."
        else:
            hint = "Higher." if secret > guess else "Lower."
        return {"role": "user", "content": f"{hint} {num_left} {'guess' if num_left == 1 else 'guesses'} left."}

    def _draw_game(self, seed: int) -> tuple[int, int]:
        rng = random.Random(f"guess_number {seed}")
        low = rng.randint(1, self.largest_start)
        return low, rng.randint(low, low + self.span - 1)


def _range_key(data: Mapping[str, int]) -> str:
    return f"from {data['low']}, {data['high'] - data['low'] + 1}"


def _parse_guesses(transcript: Sequence[TranscriptMessage]) -> list[int | None]:
    """Return the number in each assistant message, or None for a message without exactly one number."""
    guesses: list[int | None] = []
    for message in transcript:
        if message.get("role") == "assistant":
            content = message.get("content")
            numbers = read_numbers(content) if isinstance(content, str) else []
            is_guess = (
                len(numbers) == 1
                and numbers[0].value.denominator == 1
                and not re.search(r"[A-Za-z]$", str(content)[: numbers[0].start])  # x5 is a name
            )
            guesses.append(int(numbers[0].value) if is_guess else None)
    return guesses
