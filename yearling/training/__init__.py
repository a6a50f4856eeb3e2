"""Training: losses, methods, and runs that explain themselves."""

from yearling.training.checkpoints import Checkpoint, Checkpoints
from yearling.training.method import Method, TrainedPolicy, step_generator
from yearling.training.run import Run, find_run, runs_in

__all__ = [
    "Checkpoint",
    "Checkpoints",
    "Method",
    "Run",
    "TrainedPolicy",
    "find_run",
    "runs_in",
    "step_generator",
]
