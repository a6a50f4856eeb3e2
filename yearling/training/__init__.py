"""Training: losses, methods, and runs that explain themselves."""

from yearling.training.checkpoints import Checkpoint, Checkpoints
from yearling.training.export import export_adapter, export_model
from yearling.training.method import Method, TrainedPolicy, step_generator
from yearling.training.run import Run, find_run, runs_in
from yearling.training.setup import METHODS, Places, Setup, build_method, config_class, create_run
from yearling.training.train import Outcome, Progress, TrainOptions, train

__all__ = [
    "METHODS",
    "Checkpoint",
    "Checkpoints",
    "Method",
    "Outcome",
    "Places",
    "Progress",
    "Run",
    "Setup",
    "TrainOptions",
    "TrainedPolicy",
    "build_method",
    "config_class",
    "create_run",
    "export_adapter",
    "export_model",
    "find_run",
    "runs_in",
    "step_generator",
    "train",
]
