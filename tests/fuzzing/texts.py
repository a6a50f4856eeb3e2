"""Parsers of what models write and bring along: numbers, tool calls, thinking, chat templates."""

from __future__ import annotations

import json
from random import Random
from typing import Any

import psutil

from tests.checks.test_numbers import CHINESE, ENGLISH
from tests.fuzzing.mutations import examples, mutate_bytes, mutate_text
from tests.fuzzing.target import FuzzTarget
from tests.inference.messages.test_tool_calls import FORMS, PARAMETERS
from tests.models.test_template_process import _FRAGMENTS, random_templates
from tests.models.tiny import CHATML
from yearling.checks.numbers import final_number, parse_number, plain_digits, read_numbers
from yearling.errors import BadInput
from yearling.inference import ThinkingSplitter
from yearling.inference.messages.shapes import ConversationShapes
from yearling.inference.messages.tool_calls import CallBlock, ToolCallScanner, parse_tool_calls
from yearling.models import ChatTemplate
from yearling.models.templates import process


class TextTarget(FuzzTarget):
    """A parser of text. `fragments` are pieces that mean something to it."""

    fragments: tuple[str, ...] = ()

    def mutate(self, data: bytes, random: Random) -> bytes:
        """Change the text, or its bytes."""
        if random.random() < 0.05:
            return mutate_bytes(data, random)
        text = data.decode("utf-8", "replace")
        return mutate_text(text, random, self.fragments).encode("utf-8", "replace")

    def repeated(self, data: bytes, times: int) -> bytes:
        """The text, several times."""
        return data * times


class NumberTarget(TextTarget):
    """The reader of numbers refuses nothing: it finds a number or none."""

    fragments = (
        *("0", "12", "1,234", "1.234.567", ",", ".", "-", "−", "/", "%", "$", "€", " ", "\n", "{,}", "\\frac{", "\\boxed{"),
        *("{", "}", "####", "the answer is ", "答案是", "一", "十", "百", "千", "万", "亿", "两", "负", "分之", "点"),
        *("×10^", "10^", "e5", "²", "½", "K", " million", "hundred and ", "twenty-", "one ", "half", "percent", "=", "("),
        *(")", "٣", "９", "\u202f", "\x00", "'", "9" * 301),
    )

    def seeds(self) -> list[bytes]:
        """The answers of the tests."""
        return [text.encode() for text, _ in [*ENGLISH, *CHINESE]]

    def check(self, data: bytes) -> bool:
        """Places lie inside the text and follow one another in it."""
        text = data.decode("utf-8", "replace")
        found = final_number(text)
        parse_number(text)
        assert len(plain_digits(text)) == len(text)
        for with_words in (False, True):
            for number in read_numbers(text, with_words=with_words):
                assert 0 <= number.start < number.end <= len(text)
        return found is not None


class ToolCallTarget(TextTarget):
    """Tool calls and thinking in an output that arrives in pieces."""

    fragments = (
        *("<tool_call>", "</tool_call>", "<TOOLCALL>", "</TOOLCALL>", "<tool_calls>", "<function=", "</function>"),
        *("<parameter=", "</parameter>", "<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>", '<invoke name="'),
        *("</invoke>", "<![CDATA[", "]]>", "<think>", "</think>", "<seed:tool_call>", "<param ", '"', "\\", "{", "}", "["),
        *("]", "<", ">", "\n", " ", "\x00", "é", "🐣", '{"name": "f", "arguments": {}}', "1e999", "NaN", "</", "f"),
        *("[" * 1000, '{"a":' * 1000, "\\ud800", "10" * 3000),
    )

    def seeds(self) -> list[bytes]:
        """Every form of a call, alone, behind thinking and beside text."""
        forms = [*FORMS.values(), *FORMS]
        return [
            text.encode() for form in forms for text in (form, f"<think>\nHm.\n</think>\n\n{form}{form}", f"Let me see. {form}")
        ]

    def check(self, data: bytes) -> bool:
        """Nothing is lost, and it does not matter in which pieces the output arrives."""
        text = data.decode("utf-8", "replace")
        pieces, random = [], Random(len(text))
        rest = text
        while rest:
            width = random.choice((1, 2, 5, 20, 500))
            pieces.append(rest[:width])
            rest = rest[width:]
        whole, cut = self._scan([text]), self._scan(pieces)
        assert whole == cut, "the calls depend on the pieces"
        assert self._think([text]) == self._think(pieces), "the thinking depends on the pieces"
        parse_tool_calls(text)
        return bool(whole[1])

    def _scan(self, pieces: list[str]) -> tuple[str, list[Any]]:
        scanner = ToolCallScanner()
        outputs = [output for piece in pieces for output in scanner.push(piece)] + list(scanner.flush())
        assert "".join(output if isinstance(output, str) else output.raw for output in outputs) == "".join(pieces)
        text = "".join(output if isinstance(output, str) else "" if output.calls else output.raw for output in outputs)
        calls = [call for output in outputs if isinstance(output, CallBlock) for call in output.calls]
        for call in calls:
            json.dumps(call.typed_arguments(PARAMETERS), allow_nan=False).encode()
        return text, calls

    def _think(self, pieces: list[str]) -> tuple[str, str, int]:
        splitter = ThinkingSplitter()
        outputs = [*map(splitter.push, pieces), splitter.flush()]
        text = "".join(output.text for output in outputs)
        hidden = sum(output.hidden_bytes for output in outputs)
        assert len(text.encode()) + hidden == len("".join(pieces).encode())
        return text, "".join(output.reasoning for output in outputs), hidden


class TemplateTarget(TextTarget):
    """Chat templates: compiling, probing of shapes and rendering, all in the limited child process."""

    cpu_s = 2.0  # of this process; the child has limits of its own
    memory_bytes = 50_000_000
    fragments = (*_FRAGMENTS, "<|im_start|>", "{%- ", "{{- ", " -%}", "loop.index0", "tools", "| tojson(indent=4)", "is defined")

    def seeds(self) -> list[bytes]:
        """Templates that the tests generate, and a real one."""
        return [CHATML.encode(), *(text.encode("utf-8", "replace") for text in examples(random_templates, 80, self.seed))]

    def check(self, data: bytes) -> bool:
        """A template gives a text or a BadInput, and its child keeps its memory."""
        source = data.decode("utf-8", "replace")
        messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}]
        try:
            template = ChatTemplate(source)
            shapes = ConversationShapes(lambda messages, *, tools: template.render(messages, tools=tools))
            text = template.render(shapes.rewrite(messages, with_tools=False))
        except BadInput:
            return False
        finally:
            child = process._worker._process
            if child is not None and child.poll() is None:
                assert psutil.Process(child.pid).memory_info().rss <= process.MEMORY_LIMIT_BYTES
        assert len(text) <= 64_000_000
        return True

    def close(self) -> None:
        """End the child."""
        process._worker.stop()
