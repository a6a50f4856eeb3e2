"""The measurements, on small planted conversations and, if available, on the real ones."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.consensus import attacks, polis, speed
from benchmarks.consensus import metrics as metrics
from benchmarks.consensus import report as report
from benchmarks.consensus.later_attacks import run_later_attacks
from benchmarks.consensus.metrics import Measurement
from benchmarks.consensus.simulation import Population, plant_truth
from benchmarks.consensus.small_teams import measure_team_labels
from yearling.errors import NotFound
from yearling.feedback.parameters import ConsensusParameters
from yearling.feedback.rater_model import fit_rater_model

P = ConsensusParameters()


def write_conversation(folder: Path, seed: int) -> None:
    population = Population(num_raters=260, num_items=60, density=0.6, seed=seed)
    truth = plant_truth(population)
    generator = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    votes = ["rater,item,value"]
    for u in range(population.num_raters):
        for n in np.flatnonzero(generator.random(population.num_items) < population.density):
            value = 0 if generator.random() < 0.1 else int(2 * (generator.random() < truth.approval[truth.camp[u], n]) - 1)
            votes.append(f"{u},{n},{value}")
    (folder / "votes.csv").write_text("\n".join(votes) + "\n")
    (folder / "groups.csv").write_text("rater,group\n" + "".join(f"{u},{camp}\n" for u, camp in enumerate(truth.camp)))
    (folder / "items.csv").write_text("item,text,moderated\n" + "".join(f"{n},words,1\n" for n in range(population.num_items)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("polis")
    for seed, name in enumerate(("alpha", "beta")):
        write_conversation(path / name, seed)
    return path


def test_folder_without_conversations_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="No Polis conversation"):
        polis.load_conversations(tmp_path)


def test_sample_and_reference_share_no_rater(folder: Path) -> None:
    c = polis.load_conversations(folder)[0]
    sample, others = polis.sample_raters(c, 100, 0)
    assert int(sample.sum()) == 100
    assert not (sample & others).any()
    groups = polis.find_two_groups(c, others)
    assert (groups[sample] == -1).all()
    agreement = float(np.mean(groups[others] == c.groups[others]))
    assert max(agreement, 1.0 - agreement) > 0.95


@pytest.mark.slow
def test_measurements_on_planted_conversations_beat_the_baselines(folder: Path) -> None:
    conversations = polis.load_conversations(folder)
    measurements = metrics.measure_left_out_raters(conversations, 100, [0, 1], P)
    value = {
        (measure, method): report.mean_and_half_width([f for f in measurements if (f.measure, f.method) == (measure, method)])[0]
        for measure, method in {(f.measure, f.method) for f in measurements}
    }
    assert value["Spearman, N = 100", "ours"] > 0.9
    assert value["trap AUC, N = 100", "ours"] > 0.1 + value["trap AUC, N = 100", "majority"]
    assert value["wrong 'helpful', N = 100", "ours"] < value["wrong 'helpful', N = 100", "majority"]
    held_out = metrics.measure_held_out(conversations, [0], P)
    errors = {f.method: f.value for f in held_out if f.measure == "held-out RMSE" and f.conversation == "alpha"}
    assert errors["ours"] < errors["majority"]


@pytest.mark.slow
def test_pairs_and_stability_are_measured(folder: Path) -> None:
    conversations = polis.load_conversations(folder)[:1]
    pairs = {f.method: f.value for f in metrics.measure_pairwise(conversations, [0], P, num_raters=60, comparisons_per_rater=20)}
    assert pairs["ours"] > 0.85
    assert set(pairs) == {"majority", "plain bradley-terry", "plain als", "per-side bradley-terry", "ours"}
    stability = {(f.measure, f.method): f.value for f in metrics.measure_stability(conversations, [0], P)}
    assert stability["stability, Spearman", "ours"] > 0.95


@pytest.mark.slow
def test_drive_by_and_copied_accounts_achieve_nothing(folder: Path) -> None:
    selected_attacks = [
        a for a in attacks.ATTACKS if a.name in ("drive-by promotion", "collusion on one copied history, promotion")
    ]
    measurements = attacks.run_attacks(polis.load_conversations(folder), [0], P, max_targets=2, attacks=selected_attacks)
    assert {f.measure for f in measurements if f.method == "ours"} >= {"drive-by promotion, 50%"}
    assert all(f.value == 0.0 for f in measurements if f.method == "ours")
    assert any(f.value > 0.0 for f in measurements if f.method == "plain als"), "the attack is strong enough to matter undefended"


def test_intervals_use_the_t_distribution() -> None:
    measurements = [Measurement(measure="m", method="x", conversation=c, seed=s, value=float(s)) for c in "ab" for s in range(3)]
    mean, half = report.mean_and_half_width(measurements)
    assert mean == 1.0
    assert half == pytest.approx(4.302653 / np.sqrt(3))
    assert np.isnan(report.mean_and_half_width([])[0])


def test_textbook_fit_agrees_with_ours() -> None:
    # This penalty leaves one optimum. With the paper's penalty, a random start often ends in a worse optimum than ours.
    ratings, p = speed.synthetic_ratings(20_000), replace(P.axis, factor_penalty=1.0, rounds=60)
    plain, ours = speed.fit_plain_als(ratings, p), fit_rater_model(ratings, p).item_bias
    assert np.corrcoef(plain, ours)[0, 1] > 0.95


@pytest.mark.drill
def test_fit_of_a_million_ratings_is_faster_than_the_textbook_method() -> None:
    plain, ours = (speed.measure_in_subprocess(what, 1_000_000) for what in ("plain", "ours"))
    assert float(ours["seconds"]) < float(plain["seconds"])
    assert float(ours["peak_mib"]) < 200


@pytest.mark.slow
def test_full_run_gives_the_same_bytes_in_two_processes() -> None:
    first, second = (speed.measure_in_subprocess("pipeline", 20_000) for _ in range(2))
    assert first["hash"] == second["hash"] != ""


def real_conversations() -> Path:
    shared = os.environ.get("YEARLING_SHARED_DATA")
    return (Path(shared) if shared else Path(__file__).parents[4] / "shared" / "data") / "polis"


@pytest.mark.drill
@pytest.mark.skipif(not real_conversations().exists(), reason="the Polis conversations are not on this machine")
def test_measurements_on_real_conversations_beat_the_baselines() -> None:
    _, untouched = report.split_tuned_and_untouched(polis.load_conversations(real_conversations()))
    held_out = report.summarise_measurements([], metrics.measure_held_out(untouched, [0, 1], P))
    value = {(line.measure, line.method): line.untouched[0] for line in held_out}
    assert value["held-out RMSE", "ours"] <= 0.335
    assert value["held-out accuracy", "ours"] >= 0.83
    measurements = report.summarise_measurements([], metrics.measure_left_out_raters(untouched, 100, [0, 1, 2], P))
    value = {(line.measure, line.method): line.untouched[0] for line in measurements}
    assert value["Spearman, N = 100", "ours"] > value["Spearman, N = 100", "majority"]
    assert value["trap AUC, N = 100", "ours"] > value["trap AUC, N = 100", "plain als"]
    assert value["found 'helpful', N = 100", "ours"] >= 0.6
    assert value["wrong 'helpful', N = 100", "ours"] < 0.6 * value["wrong 'helpful', N = 100", "pooled bound"]


def test_labels_of_small_teams_are_worth_more_than_no_labels(folder: Path) -> None:
    conversations = polis.load_conversations(folder)[:1]
    measured = {(m.measure, m.method): m.value for m in measure_team_labels(conversations, [0], P, sizes=(5,))}
    assert measured["team gain, N = 5", "blend"] > 0.0
    assert ("team gain, N = 5", "succession") in measured
    assert measured["team labelled, N = 5", "blend"] > 0.5
    assert 0.0 <= measured["team traps by weight, N = 5", "blend"] <= 1.0


@pytest.mark.slow
def test_attacks_found_from_outside_win_less_with_their_defences(folder: Path) -> None:
    measured: dict[tuple[str, str], list[float]] = {}
    for m in run_later_attacks(polis.load_conversations(folder)[:1], [0], P, num_targets=2):
        measured.setdefault((m.measure, m.method), []).append(m.value)
    assert measured["honest ratings that count", "ours"][0] > 0.8
    assert sum(measured.get(("standing on junk, target helpful", "ours"), [])) == 0
    lost = {method: sum(measured["busy accounts, good statuses lost", method]) for method in ("ours", "undefended")}
    assert lost["ours"] <= lost["undefended"]
