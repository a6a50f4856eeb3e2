"""Engines: everything that turns a prompt into tokens, behind one protocol."""

from yearling.inference.engine import Capabilities, Completion, Delta, Engine, Request, Token, admit, collect
from yearling.inference.fake import ByteTokenizer, FakeEngine, FakeTemplate, Script, fake_served
from yearling.inference.pool import EnginePool
from yearling.inference.served import ChatTemplate, Served, StreamDecoder, Tokenizer
from yearling.inference.stops import StopMatcher, TextStream
from yearling.inference.supervisor import EngineSpec, Supervised

__all__ = [
    "ByteTokenizer",
    "Capabilities",
    "ChatTemplate",
    "Completion",
    "Delta",
    "Engine",
    "EnginePool",
    "EngineSpec",
    "FakeEngine",
    "FakeTemplate",
    "Request",
    "Script",
    "Served",
    "StopMatcher",
    "StreamDecoder",
    "Supervised",
    "TextStream",
    "Token",
    "Tokenizer",
    "admit",
    "collect",
    "fake_served",
]
