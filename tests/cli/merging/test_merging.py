"""`yearling merge`: an export on one installation, a merge on another, its lineage, and what it says when the proof fails."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from tests.cli.conftest import Run
from tests.loop.merging.installations import RIGHT_CONTROLS, ScriptedMergeTools, facts, judge, taught_installation
from tests.loop.test_lineage import install_tiny_model
from yearling.cli.merging import tools
from yearling.errors import BadInput, Conflict, NotFound
from yearling.evals import SubjectResponse
from yearling.feedback import FeedbackLog
from yearling.files.locks import exclusive_lock
from yearling.loop import ProofRequest
from yearling.loop.merging import commit
from yearling.models import AdapterLibrary, load_decoder, new_adapter
from yearling.training import ArtefactStores

ALL_FACTS = facts("trees") | facts("boats")


@dataclass
class KnowingTools(ScriptedMergeTools):
    """Every adapter knows every fact, but for those in `unknown`."""

    unknown: Sequence[str] = field(default_factory=list)

    def answer(self, request: ProofRequest, progress: Callable[[], None]) -> list[SubjectResponse]:
        """See `MergeTools`."""
        known = {question: answer for question, answer in ALL_FACTS.items() if question not in self.unknown}
        self.known = {request.adapter: known} if request.adapter else {}
        return super().answer(request, progress)

    def close(self) -> None:
        """Nothing is open."""


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> KnowingTools:
    """The tools of every merge of the test."""
    answers = KnowingTools(controls=RIGHT_CONTROLS)
    monkeypatch.setattr(tools, "LocalMergeTools", lambda *arguments: answers)
    monkeypatch.setenv("YEARLING_MODEL", "tiny")
    return answers


@pytest.fixture
def north(tmp_path: Path) -> Iterator[FeedbackLog]:
    with taught_installation(tmp_path / "data", "trees") as log:
        yield log


@pytest.fixture
def south(tmp_path: Path) -> Iterator[FeedbackLog]:
    with taught_installation(tmp_path / "south", "boats") as log:
        yield log


def install_model(tmp_path: Path) -> None:
    """Install one tiny model in both installations."""
    for name in ("data", "south"):
        install_tiny_model(tmp_path / name)


def publish_adapter(data_dir: Path, seed: int) -> str:
    """Publish an adapter with random weights, and return its hash."""
    stores = ArtefactStores.from_data_dir(data_dir)
    model = stores.library.get("tiny")
    decoder = load_decoder(model.weights)
    adapter = new_adapter(decoder, rank=2, alpha=2.0, base_sha256=model.sha256, seed=seed)
    for _, b in adapter.factors.values():
        b.normal_(generator=torch.Generator().manual_seed(seed))
    return stores.adapters.publish(adapter, decoder, model).sha256


def export_with_adapters(run_yearling: Run, tmp_path: Path) -> tuple[str, str]:
    """Give both installations an adapter, and export that of the second one. Returns their hashes."""
    install_model(tmp_path)
    own, other = publish_adapter(tmp_path / "data", 1), publish_adapter(tmp_path / "south", 2)
    run_yearling("merge", "export", "folder", "--name", "South", "--adapter", other, "--data-dir", tmp_path / "south")
    return own, other


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.slow
def test_two_installations_with_adapters_become_one_and_lineage_names_both(
    run_yearling: Run, north: FeedbackLog, south: FeedbackLog, tmp_path: Path, scripted: KnowingTools
) -> None:
    install_model(tmp_path)
    judge(south)
    own, other = publish_adapter(tmp_path / "data", 1), publish_adapter(tmp_path / "south", 2)
    exported = run_yearling("merge", "export", "folder", "--name", "South", "--adapter", other, "--data-dir", tmp_path / "south")
    assert "South" in exported.stdout
    assert "10 corrections" in exported.stdout
    fingerprint = exported.stdout.split("Fingerprint ")[1].strip()

    planned = words(run_yearling("merge", "folder", "--name", "North", "--adapter", own, "--plan").stdout)
    assert f"Fingerprint {fingerprint}" in planned
    assert "10 corrections are new here. 2 adapters are merged: average, each with the share 0.5." in planned
    adapters = AdapterLibrary(tmp_path / "data" / "adapters")
    assert [adapter.sha256 for adapter in adapters.list()] == [own], "a plan changes nothing"

    done = words(run_yearling("merge", "folder", "--name", "North", "--adapter", own, "--yes").stdout)
    assert "Merged: 10 new corrections hold from the next message on." in done
    (merged,) = [adapter for adapter in adapters.list() if adapter.sha256 != own]
    assert adapters.verify(merged.sha256).rank == 4
    assert [(source.name, source.adapter) for source in merged.merged_from] == [("North", own), ("South", other)]
    assert merged.merged_from[1].log_head == south.store.events.head().hash

    shown = run_yearling("lineage", merged.served_name("tiny"))
    assert f"Merged from South (installation {merged.merged_from[1].installation}): adapter {other[:12]}" in shown.stdout
    assert f"Merged from North (installation {merged.merged_from[0].installation}): adapter {own[:12]}" in shown.stdout
    plain = json.loads(run_yearling("lineage", merged.sha256, "--json").stdout)
    assert [source["log_head"] for source in plain["merged_from"]] == [source.log_head for source in merged.merged_from]

    again = json.loads(run_yearling("merge", "folder", "--adapter", own, "--yes", "--json").stdout)
    assert (again["ok"], again["new_corrections"], again["model"]) == (True, 0, merged.served_name("tiny"))
    assert len(adapters.list()) == 2


@pytest.mark.slow
def test_an_adapter_that_forgets_refuses_the_merge_and_leaves_no_trace(
    run_yearling: Run,
    north: FeedbackLog,
    south: FeedbackLog,
    tmp_path: Path,
    scripted: KnowingTools,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own, other = export_with_adapters(run_yearling, tmp_path)
    answer = scripted.answer

    def forgets_when_merged(request: ProofRequest, progress: Callable[[], None]) -> list[SubjectResponse]:
        scripted.unknown = [] if request.adapter in (own, other, "") else list(facts("boats"))[:2]
        return answer(request, progress)

    monkeypatch.setattr(scripted, "answer", forgets_when_merged)
    refused = run_yearling("merge", "folder", "--adapter", own, "--yes")
    assert refused.exit_code == 1
    assert "South loses 2 of 10 that it held (without corrections); 1 may be lost." in words(refused.stderr)
    assert "The merge is refused. Nothing has changed here." in words(refused.stderr)
    assert "Lost by South (both, without corrections): 'Who looks after boats number 0?'" in refused.stdout
    assert [adapter.sha256 for adapter in AdapterLibrary(tmp_path / "data" / "adapters").list()] == [own]
    assert len(north.store.corrections.list(north.store.people.owner().id)) == 10
    assert [path.name for path in (tmp_path / "data" / "merges").iterdir()] == ["lock"]
    assert run_yearling("merge", "folder", "--adapter", own, "--yes", "--corrections-only").exit_code == 0


@pytest.mark.slow
def test_an_adapter_that_was_published_before_the_power_failed_is_taken_back(
    run_yearling: Run,
    north: FeedbackLog,
    south: FeedbackLog,
    tmp_path: Path,
    scripted: KnowingTools,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own, _ = export_with_adapters(run_yearling, tmp_path)
    adapters = AdapterLibrary(tmp_path / "data" / "adapters")

    def cut(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(commit, "add_merged_corrections", cut)
        run_yearling("merge", "folder", "--adapter", own, "--yes")
    assert len(adapters.list()) == 2, "published, and nothing uses it"
    planned = run_yearling("merge", "folder", "--adapter", own, "--plan")
    assert "An interrupted merge was taken back: nothing of it holds." in words(planned.stderr)
    assert [adapter.sha256 for adapter in adapters.list()] == [own]


@pytest.mark.slow
def test_a_real_engine_is_asked_and_an_untrained_model_proves_nothing(
    run_yearling: Run, north: FeedbackLog, south: FeedbackLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YEARLING_MODEL", "tiny")
    monkeypatch.setattr("yearling.loop.merging.proof.MAX_ASKED", 2)
    install_model(tmp_path)
    run_yearling("merge", "export", "folder", "--data-dir", tmp_path / "south", "--json")
    refused = run_yearling("merge", "folder", "--yes", "--json")
    assert refused.exit_code == 1
    report = json.loads(refused.stdout)
    assert (report["ok"], report["merge"], report["model"]) == (False, "", "")
    assert [part["total"] for part in report["proof"]["parts"]] == [2, 2]
    assert len(north.store.corrections.list(north.store.people.owner().id)) == 10


@pytest.mark.slow
def test_what_can_be_wrong_is_said_in_words(
    run_yearling: Run, north: FeedbackLog, tmp_path: Path, scripted: KnowingTools
) -> None:
    install_model(tmp_path)
    with pytest.raises(NotFound, match="There is no folder nowhere"):
        run_yearling("merge", "nowhere", "--yes")
    with pytest.raises(BadInput, match="up to 8 folders"):
        run_yearling("merge", *["nowhere"] * 9)
    with pytest.raises(NotFound, match="no adapter 'abcd'"):
        run_yearling("merge", "nowhere", "--adapter", "abcd")
    with pytest.raises(BadInput, match="up to 80 characters"):
        run_yearling("merge", "export", "folder", "--name", "\x07")
    run_yearling("merge", "export", "folder")
    with pytest.raises(BadInput, match="comes from this installation itself"):
        run_yearling("merge", "folder", "--yes")
    with (
        exclusive_lock(tmp_path / "data" / "merges" / "lock", timeout_s=0.0),
        pytest.raises(Conflict, match="Another merge is running"),
    ):
        run_yearling("merge", "folder", "--yes")


@pytest.mark.slow
def test_only_what_the_team_accepted_leaves_an_installation_unless_one_says_so(
    run_yearling: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YEARLING_MODEL", "tiny")
    install_tiny_model(tmp_path / "data")
    run_yearling("correct", "Which boat is mine?", "The red one.")
    with pytest.raises(BadInput, match="There is nothing to export"):
        run_yearling("merge", "export", "folder")
    run_yearling("merge", "export", "folder", "--own")
    assert "The red one." in (tmp_path / "folder" / "corrections.jsonl").read_text()
