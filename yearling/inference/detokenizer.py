"""Incremental detokenization: from token ids to text that is safe to show, with stop strings.

All local engines share this module, so that a stop string means the same in each of them. Text is held back while a character
is incomplete (the decoder does that) or while its end may be the start of a stop string. Sampling is not this module's concern.
"""

from __future__ import annotations

from collections.abc import Sequence

from yearling.inference.served_model import StreamDecoderLike


class StopStringMatcher:
    """Finds the first stop string in a text that arrives in pieces."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = tuple(text for text in stop if text)
        self._held = ""
        self.matched: str | None = None
        """The stop string that ended the text; None until one has."""

    def push(self, text: str) -> str:
        """Add text; returns the text that can no longer be part of a stop string. Returns nothing after a match."""
        if self.matched is not None:
            return ""
        if not self._stop:
            return text
        self._held += text
        matches = [(position, stop) for stop in self._stop if (position := self._held.find(stop)) >= 0]
        if matches:
            # The earliest match wins; of two at one position the longer one.
            position, self.matched = min(matches, key=lambda pair: (pair[0], -len(pair[1])))
            released, self._held = self._held[:position], ""
            return released
        num_held = self._partial_match_length()
        released, self._held = self._held[: len(self._held) - num_held], self._held[len(self._held) - num_held :]
        return released

    def flush(self) -> str:
        """The text that was held back; call it when no more text follows."""
        rest, self._held = self._held, ""
        return rest

    def _partial_match_length(self) -> int:
        """Length of the longest suffix of the held text that is a prefix of a stop string."""
        longest = min(len(self._held), max(len(stop) for stop in self._stop) - 1)
        for length in range(longest, 0, -1):
            if any(stop.startswith(self._held[-length:]) for stop in self._stop):
                return length
        return 0


class IncrementalDetokenizer:
    """Turns the token ids of one sequence into text.

    Push every emitted id that is not a stop id. `is_stopped` becomes true with the token that completes a stop string; the text
    never contains a stop string or anything after it.
    """

    def __init__(self, decoder: StreamDecoderLike, stop: Sequence[str] = ()) -> None:
        self._decoder = decoder
        self._matcher = StopStringMatcher(stop)

    @property
    def is_stopped(self) -> bool:
        """Whether a stop string has ended the text."""
        return self._matcher.matched is not None

    def push(self, token_id: int) -> str:
        """The text that this token adds and that is safe to show."""
        return self._matcher.push(self._decoder.push(token_id))

    def flush(self) -> str:
        """The remaining text at the end of the sequence."""
        return self._matcher.push(self._decoder.flush()) + self._matcher.flush()
