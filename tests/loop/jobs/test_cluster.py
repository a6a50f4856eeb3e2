"""Jobs on a Ray cluster of two workers on this machine, beside the same jobs without it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.feedback.people import open_feedback_log
from tests.loop.cycle.tiny_cycle import RULES, ScriptedTools
from tests.loop.test_lineage import install_tiny_model
from tests.tasks.records import add_answer
from yearling.config import Settings, load_settings
from yearling.loop import CycleFolder, Worker, list_cycles
from yearling.loop.jobs.cluster import Cluster, wait_for
from yearling.release import ReleaseAuthority
from yearling.store import Store
from yearling.training import RunFolder

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]
ray_cluster = pytest.importorskip("ray.cluster_utils")
NUM_EDITS = 12


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a cluster of two workers with one processor each."""
    environment = {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": os.getcwd()}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        small = {"object_store_memory": 100_000_000}  # nothing is passed through it
        head = {"num_cpus": 0, "include_dashboard": False, **small}
        cluster = ray_cluster.Cluster(initialize_head=True, head_node_args=head)
        for _ in range(2):
            cluster.add_node(num_cpus=1, **small)
        yield cluster.address
        cluster.shutdown()


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the tiny model as its champion, and edits to learn from."""
    data_dir = tmp_path_factory.mktemp("cluster") / "data"
    settings = Settings(data_dir=data_dir, model="tiny", engine="torch")
    with open_feedback_log(data_dir) as log:
        install_tiny_model(data_dir)
        authority = ReleaseAuthority(data_dir / "release", log.store)
        first = ScriptedTools(settings, log.store).draft("tiny", title="", parent=None)
        authority.bootstrap(first, log.store.people.owner(), rules=RULES.replace("= 60", "= 12"))
        ann = log.store.people.add("Ann")
        for number in range(NUM_EDITS):
            log.add_edit(ann.id, add_answer(log, ann.id, number), f"Better words {number}.")
    return data_dir


def configure(data_dir: Path, **values: object) -> Settings:
    lines = {"model": "tiny", "engine": "torch", "job_priority": "normal", "job_threads": 1, **values}
    (data_dir / "config.toml").write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in lines.items()))
    return load_settings(data_dir=data_dir)


def run_cycle_job(settings: Settings) -> CycleFolder:
    with Store.open(settings) as store:
        options = {"method": "sft", "until": "gate", "rank": 2, "settings": ["steps=6", "lessons_per_step=4"]}
        job = store.jobs.create("cycle", options, person_id=store.people.owner().id)
    Worker(settings).run()
    with Store.open(settings) as store:
        job = store.jobs.get(job.id)
    log = (settings.data_dir / "jobs" / job.id / "log.txt").read_text()
    assert job.state == "done", f"{job.error}\n{log}"
    return list_cycles(settings)[0]


def test_cycle_on_two_workers_decides_as_on_one_machine(address: str, installation: Path, tmp_path: Path) -> None:
    found = {}
    for name, values in (("here", {}), ("cluster", {"ray_address": address, "training_processes": 2})):
        shutil.copytree(installation, tmp_path / name)
        settings = configure(tmp_path / name, **values)
        folder = run_cycle_job(settings)
        results = {record.name: record.result for record in folder.steps()}
        run = RunFolder.open(settings.runs_dir / str(results["training"]["run"]))
        with Store.open(settings) as store:
            exams = [store.exams.get(each["run"]) for role in ("champion", "challenger") for each in results["exams"][role]]
        found[name] = (results, run, exams)
    (here, here_run, here_exams), (cluster, cluster_run, cluster_exams) = found["here"], found["cluster"]
    assert cluster["lessons"]["lesson_set"] == here["lessons"]["lesson_set"]
    assert cluster["training"]["step"] == here["training"]["step"] == 6
    assert (cluster_run.folder / "torchrun.txt").exists()
    assert not (here_run.folder / "torchrun.txt").exists()
    losses = [[line["loss"] for line in run.read_metrics() if "loss" in line] for run in (here_run, cluster_run)]
    assert losses[1] == pytest.approx(losses[0], rel=5e-3), "they share each step, but for bfloat16's rounding"
    assert cluster["gate"]["decision"] == here["gate"]["decision"]
    for one, other in zip(here_exams, cluster_exams, strict=True):
        for ours, theirs in zip(one.summary["measures"], other.summary["measures"], strict=True):
            assert ours["name"] == theirs["name"]
            assert ours["low"] <= theirs["value"] <= ours["high"]


def test_cancelled_and_killed_jobs_leave_nothing_behind(address: str, tmp_path: Path) -> None:
    settings = configure(tmp_path, ray_address=address)
    with Cluster(settings) as cluster:
        script = "import time, pathlib, sys; pathlib.Path(sys.argv[1]).touch(); time.sleep(600)"
        ended = cluster.start(["-c", "print('hello'); raise SystemExit(3)"], tmp_path / "output", gpus=False)
        assert wait_for([ended], until=lambda: False) == 3
        assert (tmp_path / "output").read_text() == "hello\n"
        started = [tmp_path / f"started-{number}" for number in range(2)]
        running = [cluster.start(["-c", script, str(path)], tmp_path / "output", gpus=False) for path in started]
        deadline_s = time.monotonic() + 60
        while not all(path.exists() for path in started) and time.monotonic() < deadline_s:
            time.sleep(0.05)
        assert [process.poll() for process in running] == [None, None]
        assert wait_for(running, until=lambda: True) == -signal.SIGTERM


def test_job_fails_with_advice_without_a_cluster(tmp_path: Path) -> None:
    settings = configure(tmp_path, ray_address="127.0.0.1:1")
    with Store.open(settings) as store:
        job = store.jobs.create("consensus", {}, person_id=store.people.owner().id)
        Worker(settings).run()
        job = store.jobs.get(job.id)
    assert job.state == "failed"
    assert "cannot be reached" in job.error
    assert "empty the setting `ray_address`" in job.error
