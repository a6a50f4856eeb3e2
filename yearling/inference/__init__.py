"""Engines: everything that turns a prompt into tokens, behind one protocol."""

from yearling.inference.bench_api import Overhead, Spread, Timed, measure_api_overhead
from yearling.inference.bench_variants import bench_choices, open_subjects
from yearling.inference.calibration import read_speeds
from yearling.inference.detokenizer import StopMatcher, TextStream
from yearling.inference.engine import Capabilities, Completion, Delta, Engine, Request, Token, admit, collect
from yearling.inference.engine_choice import Choice, EngineReport, Machine, choose_engine, describe_engines, this_machine
from yearling.inference.fake import ByteTokenizer, FakeEngine, FakeTemplate, Script, fake_served
from yearling.inference.pool import EnginePool, open_engine
from yearling.inference.served_model import ChatTemplate, Served, StreamDecoder, Tokenizer
from yearling.inference.supervisor import EngineSpec, Supervised
from yearling.inference.throughput import EngineSpeed, measure_engine, measure_together, peak_memory_bytes
from yearling.inference.torch_facade import decoding_view, follow_adapter, invert_probabilities

__all__ = [
    "ByteTokenizer",
    "Capabilities",
    "ChatTemplate",
    "Choice",
    "Completion",
    "Delta",
    "Engine",
    "EnginePool",
    "EngineReport",
    "EngineSpec",
    "EngineSpeed",
    "FakeEngine",
    "FakeTemplate",
    "Machine",
    "Overhead",
    "Request",
    "Script",
    "Served",
    "Spread",
    "StopMatcher",
    "StreamDecoder",
    "Supervised",
    "TextStream",
    "Timed",
    "Token",
    "Tokenizer",
    "admit",
    "bench_choices",
    "choose_engine",
    "collect",
    "decoding_view",
    "describe_engines",
    "fake_served",
    "follow_adapter",
    "invert_probabilities",
    "measure_api_overhead",
    "measure_engine",
    "measure_together",
    "open_engine",
    "open_subjects",
    "peak_memory_bytes",
    "read_speeds",
    "this_machine",
]
