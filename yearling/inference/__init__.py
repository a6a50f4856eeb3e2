"""Engines: everything that turns a prompt into tokens, behind one protocol."""

from yearling.inference.bench_api import ApiOverhead, MedianWithQuartiles, TimedEngine, measure_api_overhead
from yearling.inference.bench_variants import list_engine_variants, open_subjects
from yearling.inference.calibration import read_speeds
from yearling.inference.detokenizer import IncrementalDetokenizer, StopStringMatcher
from yearling.inference.engine import Completion, Delta, Engine, EngineCapabilities, Request, Token, admit, collect
from yearling.inference.engine_choice import Choice, EngineReport, Machine, choose_engine, describe_engines, detect_machine
from yearling.inference.fake import ByteTokenizer, FakeChatTemplate, FakeEngine, ScriptedAnswer, fake_served_model
from yearling.inference.pool import EnginePool, open_engine
from yearling.inference.served_model import ChatTemplate, ServedModel, StreamDecoder, Tokenizer
from yearling.inference.supervisor import EngineSpec, SupervisedEngine
from yearling.inference.throughput import EngineSpeed, measure_engine, measure_interleaved, peak_memory_bytes
from yearling.inference.torch_facade import make_decoding_view, refresh_decoding_view, sample_from_probabilities

__all__ = [
    "ApiOverhead",
    "ByteTokenizer",
    "ChatTemplate",
    "Choice",
    "Completion",
    "Delta",
    "Engine",
    "EngineCapabilities",
    "EnginePool",
    "EngineReport",
    "EngineSpec",
    "EngineSpeed",
    "FakeChatTemplate",
    "FakeEngine",
    "IncrementalDetokenizer",
    "Machine",
    "MedianWithQuartiles",
    "Request",
    "ScriptedAnswer",
    "ServedModel",
    "StopStringMatcher",
    "StreamDecoder",
    "SupervisedEngine",
    "TimedEngine",
    "Token",
    "Tokenizer",
    "admit",
    "choose_engine",
    "collect",
    "describe_engines",
    "detect_machine",
    "fake_served_model",
    "list_engine_variants",
    "make_decoding_view",
    "measure_api_overhead",
    "measure_engine",
    "measure_interleaved",
    "open_engine",
    "open_subjects",
    "peak_memory_bytes",
    "read_speeds",
    "refresh_decoding_view",
    "sample_from_probabilities",
]
