"""The child process that runs IFEval's published checkers. `ifeval_checkers.py` starts it; it imports nothing of Yearling.

    python -P ifeval_worker.py FOLDER TIME_LIMIT_S MEMORY_LIMIT_BYTES

The protocol is one JSON object per line. The worker writes `{"ready": [CHECKER, ...]}` once. For each request `{"prompt",
"instructions", "arguments", "answer"}` it then writes `{"strict": [...], "loose": [...]}`, or `{"error": KIND, "message": TEXT}`
with the kind `unknown_instruction`, `raised` or `memory`. If it cannot load the checkers, it writes an error of the kind `load`
and ends.

After loading, the worker cannot open sockets, start processes or write files, and its memory is capped. The checkers are pure
Python, so the interpreter's audit events see whatever they try.

The package that publishes the checkers needs the `datasets` library and downloads a sentence model at run time; the four files
that are loaded here need neither. Three things are replaced, none of which changes a verdict:
- NLTK's Punkt parameters come from a pinned file of Python literals, which is parsed and never run, instead of a pickle;
- language detection is seeded, since it samples at random otherwise;
- a text without a detectable language is not logged.

Grading follows Zhou et al. (2311.07911): strict on the answer, loose on eight variants of it.
"""

from __future__ import annotations

import ast
import importlib
import json
import logging
import math
import os
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, Protocol, TextIO

CHECKER_PACKAGE = "if_verifiable.ifeval"

_DENIED_EVENTS = (
    *("socket.", "subprocess.", "ctypes.", "os.exec", "os.fork", "os.kill", "os.posix_spawn", "os.spawn", "os.system"),
    *("os.chmod", "os.chown", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "os.symlink", "os.truncate"),
)
_WRITE_FLAGS = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Checker(Protocol):
    """The interface of IFEval's published checkers."""

    def build_description(self, **arguments: object) -> object:
        """Set the arguments of the instruction."""
        ...

    def get_instruction_args(self) -> Mapping[str, object] | None:
        """The arguments, including those that the checker chose itself."""
        ...

    def check_following(self, value: str) -> object:
        """Whether the text follows the instruction, as a truth value."""
        ...


Registry = Mapping[str, Callable[[str], Checker]]
"""The class of each checker, by the name of its instruction."""


class SentenceTokenizer(Protocol):
    """NLTK's interface of sentence tokenizers."""

    def tokenize(self, text: str) -> Sequence[str]:
        """The sentences of a text."""
        ...


class UnknownInstructionError(Exception):
    """IFEval has no checker with that name."""


def check_answer(
    registry: Registry, prompt: str, instructions: Sequence[str], arguments: Sequence[Mapping[str, object]], answer: str
) -> dict[str, list[bool]]:
    """Which instructions the answer follows, strictly and loosely. Raises UnknownInstructionError and what a checker raises.

    Deterministic: the random generator is seeded for each answer. A checker draws from it where an argument is missing or
    invalid, as in two published prompts, which ask for "#" and "!" from a checker of letters.
    """
    random.seed(0)
    checkers = [_build_checker(registry, name, kwargs, prompt) for name, kwargs in zip(instructions, arguments, strict=True)]
    variants = [text for text in loose_variants(answer) if text.strip()]
    return {
        "strict": [bool(answer.strip()) and bool(checker.check_following(answer)) for checker in checkers],
        "loose": [any(bool(checker.check_following(text)) for text in variants) for checker in checkers],
    }


def loose_variants(answer: str) -> list[str]:
    """What the loose measure accepts: the answer without its first line, its last line, both; each also without asterisks."""
    lines = answer.split("\n")
    texts = [answer, "\n".join(lines[1:]).strip(), "\n".join(lines[:-1]).strip(), "\n".join(lines[1:-1]).strip()]
    return texts + [text.replace("*", "") for text in texts]


def load_registry(folder: Path) -> Registry:
    """The published checkers by name, from the files in `folder`."""
    import langdetect

    langdetect.DetectorFactory.seed = 0
    for name, part in (("if_verifiable", "if_verifiable"), (CHECKER_PACKAGE, "if_verifiable/ifeval")):
        package = ModuleType(name)
        package.__path__ = [str(folder / part)]
        sys.modules[name] = package
    # Compiled files beside the sources are not pinned: neither read nor write any.
    sys.dont_write_bytecode, sys.pycache_prefix = True, os.devnull
    registry = importlib.import_module(f"{CHECKER_PACKAGE}.instructions_registry")
    instructions = importlib.import_module(f"{CHECKER_PACKAGE}.instructions")
    utilities = importlib.import_module(f"{CHECKER_PACKAGE}.instructions_util")
    sys.pycache_prefix = None
    tokenizer = _sentence_tokenizer(folder / "punkt" / "english.py")
    vars(utilities)["_get_sentence_tokenizer"] = lambda: tokenizer
    vars(utilities)["nltk"] = _nltk_replacement(tokenizer)
    vars(instructions)["logging"] = SimpleNamespace(error=logging.getLogger("yearling.ifeval").debug)
    checkers: Registry = registry.INSTRUCTION_DICT
    return checkers


def confine(memory_limit_bytes: int) -> None:
    """From here on deny sockets, processes and file writes, and cap memory at its present size plus `memory_limit_bytes`.

    The caps need Unix; elsewhere only the audit hook and the parent's time limit hold.
    """
    sys.addaudithook(_deny)
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    statm = Path("/proc/self/statm")
    if statm.exists():
        present = int(statm.read_text(encoding="ascii").split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (present + memory_limit_bytes,) * 2)


def serve(registry: Registry, requests: TextIO, replies: TextIO, time_limit_s: float) -> None:
    """Answer requests until there are no more. Ends after running out of memory: the parent starts a fresh worker."""
    _reply(replies, {"ready": sorted(registry)})
    for line in requests:
        _limit_cpu(time_limit_s)
        try:
            _reply(replies, check_answer(registry, **json.loads(line)))
        except UnknownInstructionError as error:
            _reply(replies, {"error": "unknown_instruction", "message": str(error)})
        except MemoryError:
            _reply(replies, {"error": "memory", "message": ""})
            return
        except Exception as error:  # a foreign checker may raise anything; the answer fails, not the run
            _reply(replies, {"error": "raised", "message": f"{type(error).__name__}: {error}"})


def _build_checker(registry: Registry, name: str, arguments: Mapping[str, object], prompt: str) -> Checker:
    if name not in registry:
        raise UnknownInstructionError(f"IFEval has no checker for {name!r}.")
    checker = registry[name](name)
    checker.build_description(**{key: value for key, value in arguments.items() if value is not None})
    resolved = checker.get_instruction_args()
    if resolved and "prompt" in resolved:
        checker.build_description(prompt=prompt)
    return checker


def _sentence_tokenizer(path: Path) -> SentenceTokenizer:
    """NLTK's sentence tokenizer with the published English parameters."""
    from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

    literals = _read_literals(path)
    parameters = PunktParameters()
    parameters.abbrev_types = set(literals["ABBREV_TYPES"])
    parameters.sent_starters = set(literals["SENT_STARTERS"])
    parameters.collocations = set(literals["COLLOCATIONS"])
    for word, flags in literals["ORTHO_CONTEXT"].items():
        parameters.ortho_context[word] = flags
    tokenizer: SentenceTokenizer = PunktSentenceTokenizer(parameters)
    return tokenizer


def _read_literals(path: Path) -> dict[str, Any]:
    """The module-level literals of a Python file, which is parsed and not run."""
    values: dict[str, Any] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            value = node.value
            if isinstance(value, ast.Call) and getattr(value.func, "id", "") == "frozenset":
                value = value.args[0] if value.args else ast.Tuple([], ast.Load())
            values[node.targets[0].id] = ast.literal_eval(value)
    return values


def _nltk_replacement(sentence_tokenizer: SentenceTokenizer) -> SimpleNamespace:
    """What the checkers use of NLTK, with word tokenization on our sentence model."""
    from nltk.tokenize import NLTKWordTokenizer, RegexpTokenizer

    word_tokenizer = NLTKWordTokenizer()

    def word_tokenize(text: str) -> list[str]:
        return [word for sentence in sentence_tokenizer.tokenize(text) for word in word_tokenizer.tokenize(sentence)]

    return SimpleNamespace(word_tokenize=word_tokenize, tokenize=SimpleNamespace(RegexpTokenizer=RegexpTokenizer))


def _deny(event: str, arguments: tuple[object, ...]) -> None:
    if event.startswith(_DENIED_EVENTS) or (event == "open" and isinstance(flags := arguments[2], int) and flags & _WRITE_FLAGS):
        raise PermissionError(f"IFEval's checkers may not use {event}.")


def _limit_cpu(time_limit_s: float) -> None:
    """Twice the time limit of CPU for the next answer, so that a stalled worker ends even if its parent is gone."""
    try:
        import resource
    except ImportError:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(time.process_time() + 2 * time_limit_s), hard))


def _reply(replies: TextIO, message: Mapping[str, object]) -> None:
    replies.write(json.dumps(message) + "\n")
    replies.flush()


def main() -> None:
    """Load the checkers, then serve until standard input ends."""
    folder, time_limit_s, memory_limit_bytes = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
    # Replies go to a private copy of stdout, so that nothing a checker prints can pass for one.
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        registry = load_registry(folder)
    except Exception as error:  # an incomplete library, above all; the parent reports the reason
        _reply(replies, {"error": "load", "message": f"{type(error).__name__}: {error}"})
        return
    confine(memory_limit_bytes)
    serve(registry, sys.stdin, replies, time_limit_s)


if __name__ == "__main__":
    main()
