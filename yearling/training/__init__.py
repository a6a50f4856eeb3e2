"""Training: losses, methods, and reproducible runs that can be resumed."""

from yearling.training.checkpoints import Checkpoint, CheckpointStore
from yearling.training.device import choose_device, choose_dtype
from yearling.training.distributed import is_main_process, local_node, process_group, torchrun_arguments, world_size
from yearling.training.export import export_adapter, export_model
from yearling.training.loop import TrainingOutcome, TrainingProgress, TrainOptions, read_outcome, train
from yearling.training.merged_adapter import import_adapter, publish_merged_adapter
from yearling.training.methods.protocol import Method, TrainedPolicy
from yearling.training.provenance import describe_code
from yearling.training.read_only_run import run_for_this_process
from yearling.training.reader.train import train_reader
from yearling.training.run import RunFolder, find_run, list_runs
from yearling.training.seeding import step_generator
from yearling.training.setup import (
    METHOD_TABLE,
    METHODS,
    MULTI_PROCESS_METHODS,
    ArtefactStores,
    RunSetup,
    build_method,
    config_class,
    create_run,
    prepare_for_processes,
)

__all__ = [
    "METHODS",
    "METHOD_TABLE",
    "MULTI_PROCESS_METHODS",
    "ArtefactStores",
    "Checkpoint",
    "CheckpointStore",
    "Method",
    "RunFolder",
    "RunSetup",
    "TrainOptions",
    "TrainedPolicy",
    "TrainingOutcome",
    "TrainingProgress",
    "build_method",
    "choose_device",
    "choose_dtype",
    "config_class",
    "create_run",
    "describe_code",
    "export_adapter",
    "export_model",
    "find_run",
    "import_adapter",
    "is_main_process",
    "list_runs",
    "local_node",
    "prepare_for_processes",
    "process_group",
    "publish_merged_adapter",
    "read_outcome",
    "run_for_this_process",
    "step_generator",
    "torchrun_arguments",
    "train",
    "train_reader",
    "world_size",
]
