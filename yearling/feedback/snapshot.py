"""The public result of a full consensus run, with canonical bytes and a hash. It names items, but no raters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

from yearling.feedback.division import Division
from yearling.feedback.events import canonical_utf8_json
from yearling.feedback.item_labels import Crowd
from yearling.feedback.pairs import ConsensusPair
from yearling.feedback.visible_division import VisibleDivision


@dataclass(frozen=True, slots=True, kw_only=True)
class SideResult:
    """The view of one side on an item."""

    ratings: float
    """Counted ratings; a rater belongs to both sides by shares."""
    approval: float
    """Sum of those ratings."""
    estimate: float
    """Approval, shrunk towards that of everybody together. Rules compare it with their `floor`."""
    chance: float
    """Probability that this side's approval is at least one half."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemResult:
    """The result of one item.

    `judged` is the number of counted ratings and `approval` their sum. `label` is 1 for good, −1 for bad and 0 for none; `q` is
    its probability by the weaker side, `weight` that of a lesson, and `label_reason` says why. `bridging` is the estimate of the
    weaker side; `axis` is the item's position on the axis of division.
    """

    item: str
    status: str
    reason: str
    previous: str
    judged: int
    approval: float
    label: int
    q: float
    weight: float
    label_reason: str
    sides: tuple[SideResult, SideResult]
    bridging: float
    intercept: float
    axis: float
    jury: str
    rules: tuple[str, ...]
    """Ids and versions of the rules that the item meets, as `id@version`."""
    uncounted: Mapping[str, int]
    """Number of ratings that do not count, by reason: `new_account` or `copy`."""


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
    """Counts of raters: seen, counted, collapsed into others, on side 0, and on side 1."""
    division: Division
    visible_division: VisibleDivision
    crowd: Crowd
    items: tuple[ItemResult, ...]
    pairs: tuple[ConsensusPair, ...]
    dropped: Mapping[str, int]
    removals: tuple[tuple[str, str], ...]
    """(removed event, reason), public."""
    flips: int
    flips_allowed: int
    held: int
    """Number of flips that the limit held."""

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
