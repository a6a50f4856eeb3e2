"""Training: losses, methods, and runs that explain themselves."""

from yearling.training.bench import Contender, TrainSpeed, dpo_contenders, take_turns
from yearling.training.bench_dpo import profile as profile_dpo
from yearling.training.bench_grpo import grpo_contenders
from yearling.training.checkpoints import Checkpoint, Checkpoints
from yearling.training.device import choose_device, choose_dtype
from yearling.training.export import export_adapter, export_model
from yearling.training.loop import Outcome, Progress, TrainOptions, train
from yearling.training.method import Method, TrainedPolicy, step_generator
from yearling.training.practice import Passed, Practice, practise
from yearling.training.processes import is_first, joined, seen_from_here, world_size
from yearling.training.run import Run, find_run, runs_in
from yearling.training.setup import METHODS, Places, Setup, build_method, config_class, create_run
from yearling.training.trial import Ranking, Trial, read_dialogues, run_trial

__all__ = [
    "METHODS",
    "Checkpoint",
    "Checkpoints",
    "Contender",
    "Method",
    "Outcome",
    "Passed",
    "Places",
    "Practice",
    "Progress",
    "Ranking",
    "Run",
    "Setup",
    "TrainOptions",
    "TrainSpeed",
    "TrainedPolicy",
    "Trial",
    "build_method",
    "choose_device",
    "choose_dtype",
    "config_class",
    "create_run",
    "dpo_contenders",
    "export_adapter",
    "export_model",
    "find_run",
    "grpo_contenders",
    "is_first",
    "joined",
    "practise",
    "profile_dpo",
    "read_dialogues",
    "run_trial",
    "runs_in",
    "seen_from_here",
    "step_generator",
    "take_turns",
    "train",
    "world_size",
]
