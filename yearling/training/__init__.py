"""Training: losses, methods, and runs that explain themselves."""

from yearling.training.checkpoints import Checkpoint, Checkpoints
from yearling.training.method import Method, TrainedPolicy, step_generator
from yearling.training.run import Run, find_run, runs_in
from yearling.training.train import Outcome, Progress, TrainOptions, train

__all__ = [
    "Checkpoint",
    "Checkpoints",
    "Method",
    "Outcome",
    "Progress",
    "Run",
    "TrainOptions",
    "TrainedPolicy",
    "find_run",
    "runs_in",
    "step_generator",
    "train",
]
