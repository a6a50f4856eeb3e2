"""The catalogue of all kinds of constraint, by id.

The order of the kinds is part of the tasks: a seed selects kinds by their position. New kinds therefore change existing tasks.
"""

from __future__ import annotations

from yearling.errors import BadInput
from yearling.tasks.environments.instructions.boundary_constraints import BOUNDARY_CONSTRAINTS
from yearling.tasks.environments.instructions.constraint_kind import ConstraintKind
from yearling.tasks.environments.instructions.layout_constraints import LAYOUT_CONSTRAINTS
from yearling.tasks.environments.instructions.length_constraints import LENGTH_CONSTRAINTS
from yearling.tasks.environments.instructions.mark_constraints import MARK_CONSTRAINTS
from yearling.tasks.environments.instructions.word_constraints import WORD_CONSTRAINTS

_ALL_KINDS = (*BOUNDARY_CONSTRAINTS, *WORD_CONSTRAINTS, *LAYOUT_CONSTRAINTS, *LENGTH_CONSTRAINTS, *MARK_CONSTRAINTS)

CONSTRAINT_KINDS: dict[str, ConstraintKind] = {kind.id: kind for kind in _ALL_KINDS}

if len(CONSTRAINT_KINDS) != len(_ALL_KINDS):
    raise ValueError("two kinds of constraint have the same id")


def get_constraint_kind(kind_id: str) -> ConstraintKind:
    """Return the kind with this id. Raises BadInput for an unknown id."""
    if kind_id not in CONSTRAINT_KINDS:
        raise BadInput(
            f"There is no kind of constraint named {kind_id}.", advice=f"Kinds: {', '.join(sorted(CONSTRAINT_KINDS))}."
        )
    return CONSTRAINT_KINDS[kind_id]
