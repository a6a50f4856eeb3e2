"""Training: losses, methods, and runs that explain themselves."""

from benchmarks.training.dpo_worker import profile as profile_dpo
from benchmarks.training.grpo_worker import grpo_contenders
from benchmarks.training.preference_experiment import Ranking, Trial, read_dialogues, run_trial
from benchmarks.training.rl_experiment import Passed, Practice, practise
from benchmarks.training.speed import Contender, TrainSpeed, dpo_contenders, take_turns
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
