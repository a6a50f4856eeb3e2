"""From token ids to the text that a reader may see: incremental decoding, stop strings, and text held back until it is safe.

Shared by all local engines, so that a stop string means the same whatever runs the model. Knows nothing of sampling. Text is
held back while a character is incomplete (the decoder's work) or while its end could be the beginning of a stop string.
"""

from __future__ import annotations

from collections.abc import Sequence

from yearling.inference.served_model import StreamDecoderLike


class StopStringMatcher:
    """Finds the first stop string in a text that comes in pieces."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._stop = tuple(text for text in stop if text)
        self._held = ""
        self.matched: str | None = None
        """The stop string that ended the text."""

    def push(self, text: str) -> str:
        """The part of the text so far that no stop string can swallow any more. After a match: nothing."""
        if self.matched is not None:
            return ""
        if not self._stop:
            return text
        self._held += text
        found = [(at, stop) for stop in self._stop if (at := self._held.find(stop)) >= 0]
        if found:
            # The earliest match counts; of two at one place the longer, since both are cut off with it.
            at, self.matched = min(found, key=lambda pair: (pair[0], -len(pair[1])))
            safe, self._held = self._held[:at], ""
            return safe
        keep = self._partial_match_length()
        safe, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return safe

    def flush(self) -> str:
        """What was held back, once it is sure that nothing more comes."""
        rest, self._held = self._held, ""
        return rest

    def _partial_match_length(self) -> int:
        """Length of the longest end of the held text that begins a stop string."""
        longest = min(len(self._held), max(len(stop) for stop in self._stop) - 1)
        for length in range(longest, 0, -1):
            if any(stop.startswith(self._held[-length:]) for stop in self._stop):
                return length
        return 0


class IncrementalDetokenizer:
    """One sequence's way from token ids to text.

    `push` takes each emitted id that is not a stop id. `stopped` becomes true with the token that completes a stop string; the
    text never contains a stop string or what follows it.
    """

    def __init__(self, decoder: StreamDecoderLike, stop: Sequence[str] = ()) -> None:
        self._decoder = decoder
        self._matcher = StopStringMatcher(stop)

    @property
    def is_stopped(self) -> bool:
        return self._matcher.matched is not None

    def push(self, token_id: int) -> str:
        return self._matcher.push(self._decoder.push(token_id))

    def flush(self) -> str:
        """The rest of the text at the end of the sequence."""
        return self._matcher.push(self._decoder.flush()) + self._matcher.flush()
