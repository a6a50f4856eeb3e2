"""Guess a number in a few turns: every answer but the last earns nothing, and what made the last one right came turns before.

The game says `higher` or `lower`. Halving the range always wins within the default turns; naming numbers at random, none twice,
wins turns / span of the games; naming one number always wins 1 / span (`tests/tasks/test_guess_number.py` measures all three).
The range moves from game to game, and it is the range that belongs to training or to exams: were it the secret, training would
teach which numbers never come.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from yearling.errors import BadInput
from yearling.tasks.environments.protocol import Task, Transcript, TranscriptMessage, task_key
from yearling.tasks.environments.seeds import draw_for_part, shot_seed

_NUMBER = re.compile(r"(?<![\w.,-])\d{1,9}(?![\w]|[.,]\d)", re.ASCII)


@dataclass(frozen=True)
class GuessNumber:
    """`span` numbers to choose from, the first of them anywhere up to `largest_start`, and at most `turns` guesses.

    `shots` games, played by halving, come first as turns, always the same ones."""

    span: int = 16
    turns: int = 5
    largest_start: int = 80
    shots: int = 1

    name: ClassVar[str] = "guess_number"
    summary: ClassVar[str] = "Find a number from answers 'higher' and 'lower' in a few turns; rewarded only when it is found."

    def __post_init__(self) -> None:
        if not 2 <= self.span <= 10**6 or not 1 <= self.turns <= 100 or not 1 <= self.largest_start <= 10**6:
            raise BadInput("guess_number needs a span of 2 to a million, 1 to 100 turns, and a largest_start of 1 to a million.")
        if not 0 <= self.shots <= 10:
            raise BadInput("shots must lie between 0 and 10.", param="shots")

    def task(self, seed: int) -> Task:
        shown = [self._opening_task(*self._draw_game(shot_seed(index))) for index in range(self.shots)]
        names = [_range_key(game.data) for game in shown]
        low, secret = draw_for_part(seed, self._draw_game, lambda game: f"from {game[0]}, {self.span}", excluded=names)
        game = self._opening_task(low, secret)
        played = [message for example in shown for message in (*example.messages, *self._binary_search_transcript(example))]
        return Task(game.key, (*played, *game.messages), game.environment, game.data)

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

    def _binary_search_transcript(self, game: Task) -> list[dict[str, Any]]:
        """The game played by halving, as far as the turns go."""
        low, high, secret = game.data["low"], game.data["high"], game.data["secret"]
        transcript: list[dict[str, Any]] = []
        while True:
            guess = (low + high) // 2
            transcript.append({"role": "assistant", "content": str(guess)})
            following = self.reply(game, transcript)
            if following is None:
                return transcript
            transcript.append(following)
            low, high = (guess + 1, high) if secret > guess else (low, guess - 1)

    def reward(self, task: Task, transcript: Transcript) -> float:
        guesses = _parse_guesses(transcript)[: int(task.data["turns"])]
        return float(task.data["secret"] in guesses)

    def reply(self, task: Task, transcript: Transcript) -> dict[str, Any] | None:
        guesses = _parse_guesses(transcript)
        if not guesses:
            return None
        low, high, secret = task.data["low"], task.data["high"], task.data["secret"]
        left = int(task.data["turns"]) - len(guesses)
        guess = guesses[-1]
        if left <= 0 or secret in guesses:
            return None
        if guess is None or not low <= guess <= high:
            hint = f"Answer with one number from {low} to {high}."
        else:
            hint = "Higher." if secret > guess else "Lower."
        return {"role": "user", "content": f"{hint} {left} {'guess' if left == 1 else 'guesses'} left."}

    def _draw_game(self, seed: int) -> tuple[int, int]:
        source = random.Random(f"guess_number {seed}")
        low = source.randint(1, self.largest_start)
        return low, source.randint(low, low + self.span - 1)


def _range_key(data: dict[str, Any]) -> str:
    return f"from {data['low']}, {data['high'] - data['low'] + 1}"


def _parse_guesses(transcript: Sequence[TranscriptMessage]) -> list[int | None]:
    """The number of each assistant message; None where it does not have exactly one."""
    found: list[int | None] = []
    for message in transcript:
        if message.get("role") == "assistant":
            content = message.get("content")
            numbers = _NUMBER.findall(content) if isinstance(content, str) else []
            found.append(int(numbers[0]) if len(numbers) == 1 else None)
    return found
