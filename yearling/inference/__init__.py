"""Inference engines: everything that turns a prompt into tokens, behind one protocol."""

from yearling.inference.bench_api import ApiOverhead, MedianWithQuartiles, TimedEngine, measure_api_overhead
from yearling.inference.bench_variants import list_engine_variants, open_benchmarked_engines
from yearling.inference.calibration import read_speeds
from yearling.inference.detokenizer import IncrementalDetokenizer, StopStringMatcher
from yearling.inference.endpoints.directory import EndpointStatus
from yearling.inference.endpoints.presets import ENDPOINT_PRESETS, EndpointPreset
from yearling.inference.endpoints.probe import EndpointCheck, check_endpoint
from yearling.inference.endpoints.saved_choices import delete_endpoint, save_default_model, save_endpoint
from yearling.inference.engine import (
    Completion,
    Delta,
    Engine,
    EngineCapabilities,
    GenerationRequest,
    Token,
    collect_completion,
    validate_request,
)
from yearling.inference.engine_choice import (
    EngineChoice,
    EngineReport,
    MachineInfo,
    choose_engine,
    describe_engines,
    detect_machine,
)
from yearling.inference.fake import ByteTokenizer, FakeChatTemplate, FakeEngine, ScriptedAnswer, fake_served_model
from yearling.inference.pool import EnginePool, open_engine
from yearling.inference.served_model import ChatTemplateLike, ServedModel, StreamDecoderLike, TokenizerLike
from yearling.inference.supervisor import EngineSpec, SupervisedEngine
from yearling.inference.throughput import EngineSpeed, measure_engine, measure_interleaved, peak_memory_bytes
from yearling.inference.torch_facade import make_decoding_view, random_stream, refresh_decoding_view, sample_from_probabilities

__all__ = [
    "ENDPOINT_PRESETS",
    "ApiOverhead",
    "ByteTokenizer",
    "ChatTemplateLike",
    "Completion",
    "Delta",
    "EndpointCheck",
    "EndpointPreset",
    "EndpointStatus",
    "Engine",
    "EngineCapabilities",
    "EngineChoice",
    "EnginePool",
    "EngineReport",
    "EngineSpec",
    "EngineSpeed",
    "FakeChatTemplate",
    "FakeEngine",
    "GenerationRequest",
    "IncrementalDetokenizer",
    "MachineInfo",
    "MedianWithQuartiles",
    "ScriptedAnswer",
    "ServedModel",
    "StopStringMatcher",
    "StreamDecoderLike",
    "SupervisedEngine",
    "TimedEngine",
    "Token",
    "TokenizerLike",
    "check_endpoint",
    "choose_engine",
    "collect_completion",
    "delete_endpoint",
    "describe_engines",
    "detect_machine",
    "fake_served_model",
    "list_engine_variants",
    "make_decoding_view",
    "measure_api_overhead",
    "measure_engine",
    "measure_interleaved",
    "open_benchmarked_engines",
    "open_engine",
    "peak_memory_bytes",
    "random_stream",
    "read_speeds",
    "refresh_decoding_view",
    "sample_from_probabilities",
    "save_default_model",
    "save_endpoint",
    "validate_request",
]
