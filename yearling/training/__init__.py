"""Training: losses, methods, and runs that explain themselves."""

from yearling.training.checkpoints import Checkpoint, Checkpoints
from yearling.training.device import choose_device, choose_dtype
from yearling.training.distributed import is_first, joined, seen_from_here, world_size
from yearling.training.export import export_adapter, export_model
from yearling.training.loop import Outcome, Progress, TrainOptions, train
from yearling.training.methods.protocol import Method, TrainedPolicy, step_generator
from yearling.training.run import Run, find_run, runs_in
from yearling.training.setup import METHODS, Places, Setup, build_method, config_class, create_run

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
    "choose_device",
    "choose_dtype",
    "config_class",
    "create_run",
    "export_adapter",
    "export_model",
    "find_run",
    "is_first",
    "joined",
    "runs_in",
    "seen_from_here",
    "step_generator",
    "train",
    "world_size",
]
