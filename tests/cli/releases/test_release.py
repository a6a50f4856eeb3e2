"""`yearling release`: from a model or a trained adapter to champion with one command, and back; signatures of several people."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.release.installed_models import install_model
from yearling.clock import now_utc
from yearling.errors import BadInput, Conflict, NotAllowed, NotFound, Untrusted, UserError
from yearling.models.local_model import LocalModel
from yearling.release import default_rules_text
from yearling.store import Store

SECRET = "correct horse battery"
BY_DEFAULT_RULES = {"rules_sha256": hashlib.sha256(default_rules_text().encode()).hexdigest()}
DEFAULT = "smollm2-135m-instruct"


def install_adapter(data_dir: Path, base: LocalModel, run: str, step: int) -> str:
    """An adapter of a training run. Returns its hash."""
    content = f"{run} {step}".encode()
    sha256 = hashlib.sha256(content).hexdigest()
    folder = data_dir / "adapters" / sha256
    folder.mkdir(parents=True)
    (folder / "adapter.gguf").write_bytes(content)
    manifest = {
        "version": 1,
        "sha256": sha256,
        "base": base.name,
        "base_sha256": base.sha256,
        "base_source_sha256": base.source_sha256,
        "rank": 8,
        "alpha": 16.0,
        "num_parameters": 1,
        "size_bytes": len(content),
        "run": run,
        "step": step,
        "created_utc": now_utc().isoformat(),
        "files": {"adapter.gguf": sha256},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return sha256


@pytest.fixture
def base(tmp_path: Path) -> LocalModel:
    return install_model(tmp_path / "data" / "models", DEFAULT)


@pytest.fixture
def run(run_yearling: Run, base: LocalModel) -> Run:
    return partial(run_yearling, "release")


@pytest.fixture
def listed(run: Run) -> Callable[[], dict[int, str]]:
    """Returns the stages of the releases by number."""
    return lambda: {row["number"]: row["stage"] for row in json.loads(run("list", "--json").stdout)["releases"]}


def test_nothing_is_signed_before_the_first_command(run: Run) -> None:
    assert "No release is signed yet" in run("list").stderr
    assert json.loads(run("list", "--json").stdout)["champion"] is None
    assert "is signed as the first release" in run("init").stderr
    with pytest.raises(Conflict, match="signed here already"):
        run("init")
    assert "owner decides alone" in run("list").stderr


def test_default_model_has_to_be_installed_first(run_yearling: Run) -> None:
    with pytest.raises(NotFound, match="no model, adapter or training run"):
        run_yearling("release", "init")


def test_trained_adapter_becomes_champion_with_one_command_and_goes_back_with_one(
    run: Run, base: LocalModel, tmp_path: Path, listed: Callable[[], dict[int, str]]
) -> None:
    install_adapter(tmp_path / "data", base, "run-1", 10)
    newest = install_adapter(tmp_path / "data", base, "run-1", 20)
    with pytest.raises(Conflict, match=r"Not proven: nobody has compared release 1"):
        run("promote", "run-1")
    done = run("promote", "run-1", "--without-proof", "I tried it for a week", "--title", "learnt 18 corrections")
    assert "becomes the champion" in done.stderr
    assert listed() == {1: "champion", 0: "retired"}
    shown = json.loads(run("show", "1", "--json").stdout)
    assert (shown["model"], shown["model_hash"], shown["run"]) == (f"{DEFAULT}+{newest[:12]}", newest, "run-1")
    assert shown["without_proof"] == "I tried it for a week"
    assert {file["path"] for file in shown["files"]} == {
        f"models/{DEFAULT}/model.gguf",
        f"models/{DEFAULT}/model.json",
        f"adapters/{newest}/adapter.gguf",
    }
    assert "Used without proof" in run("show", "1").stdout
    assert "without proof" in run("list").stdout
    assert "Back to Release 0" in run("rollback").stderr
    assert listed() == {1: "retired", 0: "champion"}


def test_allowed_release_needs_no_override(run: Run, store: Store, tmp_path: Path, base: LocalModel) -> None:
    model = install_model(tmp_path / "data" / "models", "better")
    store.gates.record(champion=base.sha256, challenger=model.sha256, decision="ALLOW", body=BY_DEFAULT_RULES, actor="test")
    assert "becomes the champion" in run("promote", "better", "--title", "learnt 18 corrections").stderr
    assert "learnt 18 corrections" in run("list").stdout
    assert json.loads(run("show", "1", "--json").stdout)["decision"] == "ALLOW"


def test_decision_about_an_adapter_on_its_base_counts(run: Run, store: Store, tmp_path: Path, base: LocalModel) -> None:
    """Exams record an adapter after the hash of its base."""
    adapter = install_adapter(tmp_path / "data", base, "run-1", 1)
    served = f"{base.sha256}+{adapter}"
    other = "ab" * 32 + adapter
    store.gates.record(champion=base.sha256, challenger=other, decision="ALLOW", body=BY_DEFAULT_RULES, actor="test")
    with pytest.raises(Conflict, match="Not proven"):
        run("promote", "run-1")
    store.gates.record(champion=base.sha256, challenger=served, decision="ALLOW", body=BY_DEFAULT_RULES, actor="test")
    assert "becomes the champion" in run("promote", "run-1").stderr
    newer = install_adapter(tmp_path / "data", base, "run-2", 1)
    store.gates.record(champion=served, challenger=newer, decision="ALLOW", body=BY_DEFAULT_RULES, actor="test")
    assert "becomes the champion" in run("promote", "run-2").stderr


@pytest.mark.slow
def test_same_model_is_one_release_until_it_is_withdrawn(run: Run, tmp_path: Path, listed: Callable[[], dict[int, str]]) -> None:
    install_model(tmp_path / "data" / "models", "other")
    run("propose", "other")
    assert listed() == {1: "canary", 0: "champion"}
    run("end-canary")
    run("propose", "other")
    assert listed() == {1: "canary", 0: "champion"}
    run("withdraw", "1", "--reason", "It insults people")
    run("propose", "other", "--as", "champion", "--without-proof", "again")
    assert listed() == {2: "champion", 1: "withdrawn", 0: "retired"}


def test_model_of_another_server_is_released_by_its_address(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YEARLING_REMOTE_URL", "http://127.0.0.1:9/v1")
    run("promote", "remote/big", "--without-proof", "It is large")
    shown = json.loads(run("show", "1", "--json").stdout)
    assert (shown["model"], shown["endpoint"], shown["files"]) == ("big", "http://127.0.0.1:9/v1", [])
    assert "cannot be verified" in run("list").stdout


def test_changed_weights_become_no_release(run: Run, tmp_path: Path) -> None:
    run("init")
    (install_model(tmp_path / "data" / "models", "other").weights).write_text("evil")
    with pytest.raises(Untrusted, match="was changed after the import"):
        run("promote", "other", "--without-proof", "x")
    with pytest.raises(NotFound, match="no model, adapter or training run 'nothing'"):
        run("promote", "nothing")


def test_adapter_of_other_weights_is_refused(run: Run, base: LocalModel, tmp_path: Path) -> None:
    other = install_model(tmp_path / "data" / "models", "other")
    adapter = install_adapter(tmp_path / "data", base, "run-1", 1)
    with pytest.raises(Untrusted, match="trained on other weights"):
        run("promote", f"{other.name}+{adapter[:12]}", "--without-proof", "x")


def test_stop_before_the_first_release_is_listed_and_holds(run: Run) -> None:
    run("stop", "--reason", "It insults people")
    assert "It insults people" in run("list").stderr
    run("init")
    assert len(json.loads(run("list", "--json").stdout)["stops"]) == 1


def test_stop_holds_until_it_is_resumed(run: Run) -> None:
    run("init")
    stop = json.loads(run("stop", DEFAULT, "--reason", "It insults people", "--json").stdout)
    assert "It insults people" in run("list").stderr
    assert [row["id"] for row in json.loads(run("list", "--json").stdout)["stops"]] == [stop["id"]]
    run("stop")
    assert "2 stops are lifted" in run("resume").stderr
    assert json.loads(run("list", "--json").stdout)["stops"] == []
    with pytest.raises(Conflict, match="Nothing is stopped"):
        run("resume")


def test_stop_of_an_unknown_model_says_that_it_stops_nothing(run: Run) -> None:
    run("init")
    assert "this stops nothing that answers now" in run("stop", "tyni").stderr
    known = run("stop", DEFAULT).stderr
    assert f"The model {DEFAULT} is stopped" in known
    assert "stops nothing" not in known
    assert f"The model {DEFAULT} is stopped" in run("stop", "champion").stderr
    run("stop")
    listed = run("list").stderr
    assert (listed.count("Every model was stopped"), listed.count("'tyni' was stopped")) == (1, 1)


def add_ann(run: Run, store: Store) -> None:
    """Make Ann a key-holder: two of two decide."""
    store.people.add("Ann")
    run("init")
    run("key", "new", "--person", "Ann", "--stdin", typed=SECRET)
    with pytest.raises(Conflict, match="not protected"):
        run("key", "add", "Ann", "--threshold", "2")
    run("key", "protect", "owner", "--stdin", typed=SECRET)
    assert "1 of 2 signatures" in run("key", "add", "Ann", "--threshold", "2", "--stdin", typed=SECRET).stderr
    assert "Done" in run("sign", "--stdin", typed=SECRET).stderr


@pytest.mark.slow
def test_two_people_decide_together(run: Run, store: Store, tmp_path: Path, listed: Callable[[], dict[int, str]]) -> None:
    add_ann(run, store)
    assert "2 of 2 key-holders decide" in run("key", "list").stderr
    install_model(tmp_path / "data" / "models", "other")
    proposed = json.loads(run("promote", "other", "--without-proof", "Let us see", "--json").stdout)
    assert (proposed["published"], proposed["threshold"], proposed["override"]) == (False, 2, "Let us see")
    assert "Let us see" in run("pending").stdout
    with pytest.raises(BadInput, match="Several keys"):
        run("sign", "--stdin", typed=SECRET)
    with pytest.raises(NotAllowed, match="passphrase is wrong"):
        run("sign", "--as", "Ann", "--stdin", typed="wrong horse battery")
    run("sign", "--as", "Ann", "--stdin", typed=SECRET)
    with pytest.raises(BadInput, match="No key of 'Ann'"):
        run("sign", "--as", "Ann", "--stdin", typed=SECRET)
    assert listed()[0] == "champion"
    run("sign", proposed["id"][:13], "--stdin", typed=SECRET)
    assert listed() == {1: "champion", 0: "retired"}
    run("rollback")
    assert "cancelled" in run("cancel").stderr
    assert "No change waits" in run("pending").stderr
    for command in ("sign", "cancel"):
        with pytest.raises(Conflict, match="No change waits"):
            run(command)


def test_damaged_change_is_named_and_can_be_cancelled(run: Run, store: Store, tmp_path: Path) -> None:
    run("init")
    run("key", "protect", "owner", "--stdin", typed=SECRET)
    install_model(tmp_path / "data" / "models", "other")
    with pytest.raises(NotAllowed):
        run("promote", "other", "--without-proof", "x", "--stdin", typed="wrong horse battery")
    (path,) = (tmp_path / "data" / "release" / "pending").glob("*.json")
    path.write_text("{")
    listed = run("list")
    assert "champion" in listed.stdout
    assert f"yearling release cancel {path.stem}" in listed.stderr
    assert "cancelled" in run("cancel", path.stem).stderr
    assert "is damaged" not in run("list").stderr


@pytest.mark.slow
def test_key_that_is_kept_elsewhere_signs(run: Run, store: Store, tmp_path: Path) -> None:
    add_ann(run, store)
    store.people.add("Bea")
    public = run("key", "new", "--out", "bea.pem", "--stdin", typed=SECRET).stdout.strip()
    assert (tmp_path / "bea.pem").stat().st_mode & 0o077 == 0
    with pytest.raises(BadInput, match="Whose key"):
        run("key", "add", "--public", public)
    with pytest.raises(BadInput, match="64 hexadecimal"):
        run("key", "add", "--public", "abc", "--person", "Bea")
    run("key", "add", "--public", public, "--person", "Bea")
    for name in ("owner", "Ann"):
        run("sign", "--as", name, "--stdin", typed=SECRET)
    rows = json.loads(run("key", "list", "--json").stdout)["keys"]
    assert {row["person"]: row["stored"] for row in rows} == {"owner": True, "Ann": True, "Bea": False}
    run("key", "revoke", "Ann", "--threshold", "2")
    assert "1 of 2" in run("sign", "--key", "bea.pem", "--stdin", typed=SECRET).stderr
    assert "Done" in run("sign", "--as", "owner", "--stdin", typed=SECRET).stderr
    with pytest.raises(NotFound, match="names 0 keys"):
        run("key", "revoke", "Ann")
    with pytest.raises(BadInput, match="threshold of 5"):
        run("key", "threshold", "5")


def test_rules_come_from_a_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text(default_rules_text() + "\n# ours\n")
    assert "New rules of the gate" in run("rules", "rules.toml").stderr
    (tmp_path / "rules.toml").write_bytes(b"\xff")
    with pytest.raises(BadInput, match="no text in UTF-8"):
        run("rules", "rules.toml")
    with pytest.raises(NotFound):
        run("rules", "nothing.toml")


def test_renewal_writes_damaged_files_anew(run: Run, tmp_path: Path) -> None:
    run("init")
    (tmp_path / "data" / "release" / "repository" / "timestamp.json").write_text("{}")
    assert "is damaged" in run("list").stderr
    assert "Renewed" in run("renew").stderr
    assert json.loads(run("list", "--json").stdout)["problem"] == ""
    assert "The server has a new key" in run("key", "rotate-online").stderr


@pytest.mark.parametrize("command", ["show 7", "withdraw 7", "rollback 7", "sign x", "resume x", "rollback"])
def test_errors_say_what_to_do(run: Run, command: str) -> None:
    run("init")
    with pytest.raises(UserError) as caught:
        run(*command.split())
    assert caught.value.message.endswith(".")
