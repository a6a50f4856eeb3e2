"""Inference engines: everything that turns a prompt into tokens, behind one protocol."""

from yearling.inference.bench_api import ApiOverhead, MedianWithQuartiles, TimedEngine, measure_api_overhead
from yearling.inference.bench_variants import list_engine_variants, open_benchmarked_engines
from yearling.inference.calibration import read_speeds
from yearling.inference.detokenizer import IncrementalDetokenizer, StopStringMatcher
from yearling.inference.embedding.embedder import Embedder, InputType, with_prefix
from yearling.inference.embedding.fake_embedder import FakeEmbedder
from yearling.inference.endpoints.directory import EndpointStatus
from yearling.inference.endpoints.presets import ENDPOINT_PRESETS
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
from yearling.inference.engine_process import EngineSpec
from yearling.inference.fake import ByteTokenizer, FakeChatTemplate, FakeEngine, ScriptedAnswer, fake_served_model
from yearling.inference.guarding.file_check import MayLoad, list_model_files
from yearling.inference.guarding.stop_watch import IsStopped
from yearling.inference.messages import (
    PASSAGES_SOURCE,
    THINK_CLOSE,
    THINK_OPEN,
    TOOL_CALL_CLOSE,
    TOOL_CALL_OPEN,
    CallBlock,
    PromptRenderer,
    SplitOutput,
    ThinkingSplitter,
    ToolCallScanner,
    append_to_system_message,
    describe_tools,
    format_tool_call,
    is_stray_delimiter,
    messages_for_model,
    read_json,
    split_unopened_thinking,
    tool_messages_as_text,
    with_object_arguments,
)
from yearling.inference.pool import EnginePool, open_engine
from yearling.inference.served_model import ChatTemplateLike, ListedModel, ServedModel, StreamDecoderLike, TokenizerLike
from yearling.inference.supervisor import SupervisedEngine
from yearling.inference.throughput import EngineSpeed, measure_engine, measure_interleaved, peak_memory_bytes
from yearling.inference.torch_facade import make_decoding_view, random_stream, refresh_decoding_view, sample_from_probabilities

__all__ = [
    "ENDPOINT_PRESETS",
    "PASSAGES_SOURCE",
    "THINK_CLOSE",
    "THINK_OPEN",
    "TOOL_CALL_CLOSE",
    "TOOL_CALL_OPEN",
    "ApiOverhead",
    "ByteTokenizer",
    "CallBlock",
    "ChatTemplateLike",
    "Completion",
    "Delta",
    "Embedder",
    "EndpointCheck",
    "EndpointStatus",
    "Engine",
    "EngineCapabilities",
    "EngineChoice",
    "EnginePool",
    "EngineReport",
    "EngineSpec",
    "EngineSpeed",
    "FakeChatTemplate",
    "FakeEmbedder",
    "FakeEngine",
    "GenerationRequest",
    "IncrementalDetokenizer",
    "InputType",
    "IsStopped",
    "ListedModel",
    "MachineInfo",
    "MayLoad",
    "MedianWithQuartiles",
    "PromptRenderer",
    "ScriptedAnswer",
    "ServedModel",
    "SplitOutput",
    "StopStringMatcher",
    "StreamDecoderLike",
    "SupervisedEngine",
    "ThinkingSplitter",
    "TimedEngine",
    "Token",
    "TokenizerLike",
    "ToolCallScanner",
    "append_to_system_message",
    "check_endpoint",
    "choose_engine",
    "collect_completion",
    "delete_endpoint",
    "describe_engines",
    "describe_tools",
    "detect_machine",
    "fake_served_model",
    "format_tool_call",
    "is_stray_delimiter",
    "list_engine_variants",
    "list_model_files",
    "make_decoding_view",
    "measure_api_overhead",
    "measure_engine",
    "measure_interleaved",
    "messages_for_model",
    "open_benchmarked_engines",
    "open_engine",
    "peak_memory_bytes",
    "random_stream",
    "read_json",
    "read_speeds",
    "refresh_decoding_view",
    "sample_from_probabilities",
    "save_default_model",
    "save_endpoint",
    "split_unopened_thinking",
    "tool_messages_as_text",
    "validate_request",
    "with_object_arguments",
    "with_prefix",
]
