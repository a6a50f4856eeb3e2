"""The public result of a full consensus run, with canonical bytes and a hash. It names items, but no raters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from typing import Any

from yearling.feedback.division import Division
from yearling.feedback.events import canonical_utf8_json
from yearling.feedback.pairs import ConsensusPair
from yearling.feedback.visible_division import VisibleDivision


@dataclass(frozen=True, slots=True, kw_only=True)
class SideResult:
    """The view of one side on an item."""

    ratings: int
    approval: float
    """Sum of the counted ratings."""
    estimate: float
    """Mean approval, shrunk towards the model's prediction. Rules compare it with their `floor`."""
    chance: float
    """Probability that this side's approval is at least one half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemResult:
    """The result of one item.

    `bridging` is the estimate of the weaker side; `axis` is the item's position on the axis of division.
    """

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
    """Ids and versions of the rules that the item meets, as `id@version`."""
    uncounted: int
    """Ratings that do not count: their raters have too few earlier acts, or repeat another rater."""
    judged: int = 0
    """Number of counted ratings."""
    approval: float = 0.0
    """Sum of the counted ratings."""
    label: int = 0
    """1 good, -1 bad, 0 none."""
    q: float = 0.5
    weight: float = 0.0
    label_reason: str = "nothing_decided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The public result of one full run. Side 0 has more raters than side 1."""

    version: int
    code_hash: str
    parameters_hash: str
    log_hash: str
    num_events: int
    as_of_utc: str
    raters: Mapping[str, int]
    """Counts of raters: seen, admitted, taking part in the fit, collapsed into others, on side 0, and on side 1."""
    division: Division
    items: tuple[ItemResult, ...]
    pairs: tuple[ConsensusPair, ...]
    dropped: Mapping[str, int]
    removals: tuple[tuple[str, str], ...]
    """(removed event, reason), public."""
    flips: int
    flips_allowed: int
    held: bool
    visible_division: VisibleDivision = field(default_factory=lambda: VisibleDivision(distance=0.0, correlation=0.0, degree=0.0))

    def results_dict(self) -> dict[str, Any]:
        """Return the decisions without the hashes and counts of their input, so that equivalent logs give equal results."""
        plain = asdict(self)
        for key in ("code_hash", "parameters_hash", "log_hash", "num_events", "as_of_utc", "dropped", "removals"):
            del plain[key]
        return plain

    def canonical_bytes(self) -> bytes:
        """Return the bytes that a replay must reproduce."""
        return canonical_utf8_json(asdict(self))

    @property
    def hash(self) -> str:
        """SHA-256 of `canonical_bytes`."""
        return sha256(self.canonical_bytes()).hexdigest()

    def find_item(self, item: str) -> ItemResult | None:
        """Return the result of one item, or None if the run does not include it."""
        return next((result for result in self.items if result.item == item), None)
