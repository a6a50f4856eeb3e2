"""Instruction following with constraints that are checked exactly."""

from yearling.tasks.environments.instructions.environment import Instructions

__all__ = ["Instructions"]
