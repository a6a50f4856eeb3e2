"""The public result of a full run, with canonical bytes and a hash. Names items and no raters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

from yearling.feedback.division import Division
from yearling.feedback.events import canonical_json
from yearling.feedback.pairs import ConsensusPair


@dataclass(frozen=True, slots=True, kw_only=True)
class SideResult:
    """What one side says of an item."""

    ratings: int
    approval: float
    """Sum of its ratings."""
    estimate: float
    """Approval shrunk towards the model's prediction; what `floor` is compared with."""
    chance: float
    """Chance that this side's approval is at least one half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemResult:
    """One item in a snapshot. `bridging` is the weaker side's estimate; `axis` its place on the line of division."""

    item: str
    status: str
    reason: str
    previous: str
    sides: tuple[SideResult, SideResult]
    bridging: float
    intercept: float
    axis: float
    jury: str
    rules: tuple[str, ...]
    """Ids and versions of the rules that hold, as `id@version`."""
    uncounted: int
    """Ratings that do not count (yet): too few earlier acts, or a voice heard already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The public result of one full run. Sides are called 0 (more raters) and 1; no rater is named."""

    version: int
    code_hash: str
    parameters_hash: str
    log_hash: str
    num_events: int
    as_of_utc: str
    raters: Mapping[str, int]
    """Counts: seen, admitted, with enough acts, collapsed into others, and on side 0 and side 1."""
    division: Division
    items: tuple[ItemResult, ...]
    pairs: tuple[ConsensusPair, ...]
    dropped: Mapping[str, int]
    removals: tuple[tuple[str, str], ...]
    """Removed event and reason, for everyone to see."""
    flips: int
    flips_allowed: int
    held: bool

    def results_dict(self) -> dict[str, Any]:
        """What was decided, without the hashes of what it was decided from: equal for logs that mean the same."""
        plain = asdict(self)
        for key in ("code_hash", "parameters_hash", "log_hash", "num_events", "as_of_utc", "dropped", "removals"):
            del plain[key]
        return plain

    def canonical_bytes(self) -> bytes:
        """The bytes that a replay must reproduce."""
        return canonical_json(asdict(self))

    @property
    def hash(self) -> str:
        """SHA-256 of `canonical_bytes`."""
        return sha256(self.canonical_bytes()).hexdigest()

    def find_item(self, item: str) -> ItemResult | None:
        """The result of one item, if it occurs."""
        return next((result for result in self.items if result.item == item), None)
