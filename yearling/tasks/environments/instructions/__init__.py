"""Instruction following with constraints that are checked exactly."""

from yearling.tasks.environments.instructions.environment import Instructions
from yearling.tasks.environments.instructions.repairs import plain_prose, repair_answer

__all__ = ["Instructions", "plain_prose", "repair_answer"]
