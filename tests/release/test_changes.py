"""Which release a rollback goes back to."""

from __future__ import annotations

import pytest

from yearling.errors import Conflict
from yearling.release import rollback_target


@pytest.mark.parametrize(
    ("champions", "withdrawn", "target"),
    [
        ((0, 1), (), 0),
        ((0, 1, 2), (), 1),
        ((0, 1, 2), (1,), 0),
        ((0, 1, 0), (), None),
        ((0, 1, 2, 1), (), 0),
        ((0, 1, 2, 1, 0), (), None),
        ((0, 1, 0, 2), (), 0),
        ((0, 1, 0, 1), (), 0),
        ((0,), (), None),
        ((), (), None),
        ((0, 1), (1,), 0),
    ],
)
def test_going_back_twice_never_goes_forward(champions: tuple[int, ...], withdrawn: tuple[int, ...], target: int | None) -> None:
    if target is None:
        with pytest.raises(Conflict, match="no earlier champion"):
            rollback_target(champions, withdrawn)
    else:
        assert rollback_target(champions, withdrawn) == target
