"""IFEval's own checkers, loaded from their pinned files instead of from an installed package, and made to run offline.

The package that publishes them wants the `datasets` library and downloads a sentence model at run time; the four files that we
need want neither. Three things are exchanged, none of which decides differently from the original:
- NLTK's Punkt model comes from a pinned file of Python literals instead of a downloaded pickle; only its literals are read;
- language detection is seeded, since it draws at random otherwise;
- nothing is logged for texts without a detectable language.
The functions below repeat how Zhou et al. (2311.07911) grade: strict on the answer, loose on eight variants of it.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import importlib.util
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

from yearling.errors import NotFound, Unavailable
from yearling.evals.exams.sources import exam_downloads, verify_sha256

PACKAGES = ("nltk", "langdetect", "immutabledict")
_CHECKER_PACKAGE = "if_verifiable.ifeval"


@dataclass(frozen=True, slots=True)
class InstructionResults:
    """Which instructions of one prompt an answer follows."""

    strict: tuple[bool, ...]
    loose: tuple[bool, ...]


class InstructionCheckers:
    """The instruction checkers. `follow` is deterministic."""

    def __init__(self, registry: Mapping[str, Any]) -> None:
        self._registry = registry

    @property
    def names(self) -> set[str]:
        return set(self._registry)

    def check(
        self, prompt: str, instructions: Sequence[str], arguments: Sequence[Mapping[str, Any]], answer: str
    ) -> InstructionResults:
        """Raises NotFound for an instruction without a checker."""
        checks = [self._build_checker(name, given, prompt) for name, given in zip(instructions, arguments, strict=True)]
        variants = [text for text in loose_variants(answer) if text.strip()]
        strict = tuple(bool(answer.strip()) and _is_followed(check, answer) for check in checks)
        loose = tuple(any(_is_followed(check, text) for text in variants) for check in checks)
        return InstructionResults(strict, loose)

    def _build_checker(self, name: str, arguments_given: Mapping[str, Any], prompt: str) -> Any:
        if name not in self._registry:
            raise NotFound(f"IFEval has no checker for {name!r}.")
        checker = self._registry[name](name)
        checker.build_description(**{key: value for key, value in arguments_given.items() if value is not None})
        arguments = checker.get_instruction_args()
        if arguments and "prompt" in arguments:
            checker.build_description(prompt=prompt)
        return checker


def loose_variants(answer: str) -> list[str]:
    """What the loose measure accepts: the answer without its first line, its last line, both; each also without asterisks."""
    lines = answer.split("\n")
    texts = [answer, "\n".join(lines[1:]).strip(), "\n".join(lines[:-1]).strip(), "\n".join(lines[1:-1]).strip()]
    return texts + [text.replace("*", "") for text in texts]


@cache
def load_checkers(folder: Path) -> InstructionCheckers:
    """From the fetched files in `folder`. Raises NotFound, Untrusted (a file was changed), Unavailable (a library is missing)."""
    for package in PACKAGES:
        if importlib.util.find_spec(package) is None:
            raise Unavailable(
                f"IFEval's checkers need the library {package}.", advice="Install it: pip install 'yearling[exams]'."
            )
    for file in exam_downloads()["ifeval"].files:
        verify_sha256(folder / file.path, file.sha256)
    import langdetect

    langdetect.DetectorFactory.seed = 0
    with _importable_from(folder):
        registry = importlib.import_module(f"{_CHECKER_PACKAGE}.instructions_registry")
        instructions = importlib.import_module(f"{_CHECKER_PACKAGE}.instructions")
        words = importlib.import_module(f"{_CHECKER_PACKAGE}.instructions_util")
    sentences = _sentence_tokenizer(folder / "punkt" / "english.py")
    vars(words)["_get_sentence_tokenizer"] = lambda: sentences
    vars(words)["nltk"] = _nltk_replacement(sentences)
    vars(instructions)["logging"] = SimpleNamespace(error=logging.getLogger("yearling.ifeval").debug)
    return InstructionCheckers(registry.INSTRUCTION_DICT)


def _is_followed(checker: Any, text: str) -> bool:
    return bool(checker.check_following(text))


@contextlib.contextmanager
def _importable_from(folder: Path) -> Any:
    """While it lasts, `if_verifiable` means the files in `folder`; an installed one is left alone before and after."""
    before = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "if_verifiable"}
    for name, part in (("if_verifiable", "if_verifiable"), (_CHECKER_PACKAGE, "if_verifiable/ifeval")):
        module = ModuleType(name)
        module.__path__ = [str(folder / part)]
        sys.modules[name] = module
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "if_verifiable"]:
            del sys.modules[name]
        sys.modules.update(before)


def _sentence_tokenizer(path: Path) -> Any:
    """NLTK's sentence tokenizer with the published English parameters. The file is read as literals, never run."""
    from nltk.tokenize.punkt import PunktParameters, PunktSentenceTokenizer

    found = _literals(path)
    parameters = PunktParameters()
    parameters.abbrev_types = set(found["ABBREV_TYPES"])
    parameters.sent_starters = set(found["SENT_STARTERS"])
    parameters.collocations = set(found["COLLOCATIONS"])
    for word, flags in found["ORTHO_CONTEXT"].items():
        parameters.ortho_context[word] = flags
    return PunktSentenceTokenizer(parameters)


def _literals(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            value = node.value
            if isinstance(value, ast.Call) and getattr(value.func, "id", "") == "frozenset":
                value = value.args[0] if value.args else ast.Tuple([], ast.Load())
            values[node.targets[0].id] = ast.literal_eval(value)
    return values


def _nltk_replacement(sentences: Any) -> Any:
    """What the checkers use of NLTK, with word tokenization on our sentence model."""
    from nltk.tokenize import NLTKWordTokenizer, RegexpTokenizer

    words = NLTKWordTokenizer()

    def word_tokenize(text: str) -> list[str]:
        return [word for sentence in sentences.tokenize(text) for word in words.tokenize(sentence)]

    return SimpleNamespace(word_tokenize=word_tokenize, tokenize=SimpleNamespace(RegexpTokenizer=RegexpTokenizer))
