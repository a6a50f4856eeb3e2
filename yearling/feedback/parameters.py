"""All parameters of a consensus run as one record. Together with the log and the code they determine the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, is_dataclass
from hashlib import sha256
from typing import Any, TypeVar, cast, get_type_hints

from yearling.errors import BadInput
from yearling.feedback.defences import DefenceParameters
from yearling.feedback.division import DivisionParameters
from yearling.feedback.events import canonical_utf8_json
from yearling.feedback.item_labels import LabelParameters
from yearling.feedback.pairs import PairParameters
from yearling.feedback.rater_model import AXIS_FIT, PREDICTION_FIT, FitParameters
from yearling.feedback.status_rules import StatusParameters, StatusRule
from yearling.feedback.visible_division import VisibleDivisionParameters

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsensusParameters:
    """The parameters of each stage of a consensus run. Every run records them."""

    axis: FitParameters = AXIS_FIT
    """The fit that finds the two sides."""
    prediction: FitParameters = PREDICTION_FIT
    """The fit that predicts ratings; strengths of compared answers are shrunk towards it."""
    visible_division: VisibleDivisionParameters = field(default_factory=VisibleDivisionParameters)
    labels: LabelParameters = field(default_factory=LabelParameters)
    division: DivisionParameters = field(default_factory=DivisionParameters)
    status: StatusParameters = field(default_factory=StatusParameters)
    pairs: PairParameters = field(default_factory=PairParameters)
    defences: DefenceParameters = field(default_factory=DefenceParameters)

    def to_dict(self) -> dict[str, Any]:
        """Return the parameters as plain data, for the public record."""
        return asdict(self)

    @staticmethod
    def from_dict(plain: Mapping[str, Any]) -> ConsensusParameters:
        """Return the parameters that `to_dict` wrote. Raises BadInput for an unknown key, so that no rule is silently ignored."""
        return _dataclass_from_dict(ConsensusParameters, plain)

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical JSON."""
        return sha256(canonical_utf8_json(self.to_dict())).hexdigest()


def _dataclass_from_dict(cls: type[T], plain: Mapping[str, Any]) -> T:
    """Return a frozen dataclass from plain data, nested ones included. `rules` is the only list of records."""
    hints = get_type_hints(cls)
    unknown = set(plain) - set(hints)
    if unknown:
        raise BadInput(
            f"Unknown parameter {sorted(unknown)[0]!r}.", advice="Compare with an exported set.", param=sorted(unknown)[0]
        )
    values: dict[str, Any] = {}
    for key, value in plain.items():
        if key == "rules":
            values[key] = tuple(_dataclass_from_dict(StatusRule, rule) for rule in value)
        elif is_dataclass(hints[key]) and isinstance(value, Mapping):
            values[key] = _dataclass_from_dict(cast("type[Any]", hints[key]), value)
        else:
            values[key] = tuple(value) if isinstance(value, list) else value
    return cls(**values)
