"""The table of training methods."""

from __future__ import annotations

import pytest

from yearling.errors import BadInput
from yearling.training.config import TrainingConfig
from yearling.training.methods.base import BaseMethod
from yearling.training.rollouts.collector import ReinforcementConfig
from yearling.training.setup import METHOD_TABLE, METHODS, MULTI_PROCESS_METHODS, config_class, method_class


@pytest.mark.parametrize("name", METHODS)
def test_every_method_of_the_table_can_be_imported(name: str) -> None:
    method, config = method_class(name), config_class(name)
    assert issubclass(method, BaseMethod)
    assert method.name == name
    assert issubclass(config, TrainingConfig)
    assert issubclass(config, ReinforcementConfig) == (METHOD_TABLE[name].lessons == "")


def test_only_methods_that_learn_from_lessons_train_in_several_processes() -> None:
    assert MULTI_PROCESS_METHODS == ("sft", "dpo", "kto")
    assert all(METHOD_TABLE[name].lessons for name in MULTI_PROCESS_METHODS)


def test_unknown_method_raises_bad_input() -> None:
    with pytest.raises(BadInput, match="no method 'magic'"):
        config_class("magic")
    with pytest.raises(BadInput, match="no method 'magic'"):
        method_class("magic")
