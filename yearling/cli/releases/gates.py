"""`yearling exam gate` and `yearling exam drift`: may a challenger replace the champion, and how far is it from it?"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from yearling.cli.console import err, out, print_json, print_table
from yearling.cli.exam_execution import exam_data_sources, find_exam_run
from yearling.cli.options import AS_JSON, DATA_DIR, MODEL
from yearling.config import load_settings
from yearling.errors import BadInput

if TYPE_CHECKING:
    from yearling.config import Settings
    from yearling.release import GateVerdict
    from yearling.store import ExamRun, Store

CHAMPION = typer.Argument(None, help="Name or hash of the model that is served now.")
CHALLENGER = typer.Argument(None, help="Name or hash of the model that may replace it.")


def gate(
    champion: str | None = CHAMPION,
    challenger: str | None = CHALLENGER,
    rules: Path | None = typer.Option(None, "--rules", help="What-if: a file of other rules than the signed ones."),
    run: str = typer.Option("", "--run", help="Id of the training run behind the challenger, which may have recorded its KL."),
    target: list[str] = typer.Option(
        [],
        "--target",
        help="What-if instead of rules: CHAMPION:CHALLENGER, two runs of an exam that must improve; can be given several times.",
    ),
    guard: list[str] = typer.Option(
        [],
        "--guard",
        help="What-if: CHAMPION:CHALLENGER, runs of an exam that must not get worse; can be given several times.",
    ),
    margin: float = typer.Option(
        0.04, "--margin", help="What-if: largest tolerated loss of score on a guard, as a share: 0.04 is 4 points of 100."
    ),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Decide by the rules whether a challenger may replace the champion, and record the decision.

    The rules are those that the key-holders signed, or Yearling's own. They name the exams; the newest comparable runs of both
    models count, and a missing one is named with its command. With `--rules`, or with `--target` and `--guard`, the command says
    what other rules or these runs would decide, and records nothing. The decision is ALLOW, REJECT or INCONCLUSIVE. Exit code 1
    unless it is ALLOW."""
    from yearling.loop import decide_what_if, gate_challenger, preview_gate, resolve_model_hash
    from yearling.release import parse_rules
    from yearling.store import Store

    names_runs = bool(target or guard)
    if names_runs == bool(champion or challenger) or bool(champion) != bool(challenger) or (names_runs and rules):
        raise BadInput(
            "Name the champion and the challenger, or pairs of runs.",
            advice="Use `yearling exam gate CHAMPION CHALLENGER`, or `yearling exam gate --target RUN1:RUN2` for a what-if.",
        )
    settings = load_settings(data_dir=data_dir)
    details: dict[str, Any] = {"recorded": False}
    display: dict[str, dict[str, object]] = {}
    with Store.open(settings) as store:
        if names_runs:
            pairs = [[_find_run_pair(store, pair) for pair in chosen] for chosen in (target, guard)]
            verdict, display = decide_what_if(store, *pairs, margin=margin)
        else:
            models = {"champion": champion or "", "challenger": challenger or ""}
            hashes = {role: resolve_model_hash(store, name) for role, name in models.items()}
            if rules is not None:
                verdict, body = preview_gate(store, parse_rules(_read_file(rules)), run_id=run, **hashes)
                details |= body
            else:
                signed = parse_rules(_signed_rules_text(settings, store))
                outcome = gate_challenger(store, signed, actor=store.people.owner().id, run_id=run, **hashes)
                verdict = outcome.verdict
                details = {"recorded": True, "id": outcome.record.id, "sha256": outcome.sha256, **outcome.record.body}
    if as_json:
        findings = [{**asdict(finding), **display.get(finding.rule, {})} for finding in verdict.findings]
        print_json({**asdict(verdict), "findings": findings, **details})
    else:
        _print_verdict(verdict, is_what_if=not details["recorded"])
    raise typer.Exit(0 if verdict.decision == "ALLOW" else 1)


def drift(
    challenger: str | None = MODEL,
    champion: str = typer.Option(..., "--champion", help="Name of the model that is served now."),
    prompts: int = typer.Option(100, "--prompts", min=1, max=541, help="Number of prompts to answer."),
    data_dir: Path | None = DATA_DIR,
    as_json: bool = AS_JSON,
) -> None:
    """Measure how far a challenger is from the champion (KL), and whether it is served as it was trained (parity).

    The challenger answers prompts that no training draws; the champion, and torch with the challenger's weights, score the same
    tokens. The rules `kl` and `parity` of a gate read the result. An interrupted run resumes where it stopped."""
    run = asyncio.run(_run_drift(load_settings(data_dir=data_dir), challenger, champion, prompts))
    measures = {measure["name"]: measure for measure in run.summary["measures"]}
    if as_json:
        print_json({"run": run.id, "model": run.model, "tokens": run.summary["completion_tokens"], "measures": measures})
        return
    rows = [
        (name, *("–" if measures[name][key] is None else f"{measures[name][key]:.4f}" for key in ("value", "low", "high")))
        for name in ("kl", "parity")
        if name in measures
    ]
    print_table(("Nats per token", "Value>", "95 % from>", "to>"), rows)
    out.print(f"{run.model}: {run.summary['completion_tokens']} tokens, run {run.id}.", highlight=False, soft_wrap=True)


async def _run_drift(settings: Settings, challenger: str | None, champion: str, num_prompts: int) -> ExamRun:
    from yearling.evals import DriftModels, DriftSubject, build_drift_exam, run_exam
    from yearling.inference import EnginePool
    from yearling.models import ModelLibrary
    from yearling.store import Store

    library = ModelLibrary(settings.models_dir)
    pool = EnginePool(settings, library)
    trained_pool = EnginePool(settings.model_copy(update={"engine": "torch"}), library)
    with Store.open(settings) as store, err.status("Opening the models") as status:
        try:
            served = await pool.get(challenger)
            old = await pool.get(champion)
            trained = await trained_pool.get(challenger or settings.model)
            exam = build_drift_exam(exam_data_sources(settings, None), old, num_prompts=num_prompts)
            return await run_exam(
                exam,
                DriftSubject(DriftModels(challenger=served, champion=old, trained=trained)),
                store,
                progress=lambda done, total: status.update(f"{done} of {total} answers"),
            )
        finally:
            await pool.close()
            await trained_pool.close()


def _signed_rules_text(settings: Settings, store: Store) -> str:
    """The rules that the quorum signed, or Yearling's own where nothing is signed yet."""
    from yearling.release import ReleaseAuthority, default_rules_text

    authority = ReleaseAuthority(settings.data_dir / "release", store)
    return (authority.state().rules if authority.exists() else "") or default_rules_text()


def _read_file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read: {error}.", advice="Name a TOML file of rules.", param="rules") from None


def _print_verdict(verdict: GateVerdict, *, is_what_if: bool) -> None:
    out.print(verdict.decision, style="bold")
    out.print(verdict.summary, markup=False, highlight=False, soft_wrap=True)
    print_table(
        ("Rule", "Role", "Decision", "Reason"),
        [(finding.rule, finding.role, finding.decision, finding.why) for finding in verdict.findings],
    )
    if is_what_if:
        err.print("A what-if: nothing was recorded.", highlight=False)
    elif verdict.decision != "ALLOW":
        can = "can" if verdict.overridable else "cannot"
        err.print(f"The quorum {can} release it without proof.", highlight=False)


def _find_run_pair(store: Store, pair: str) -> tuple[str, str]:
    champion, colon, challenger = pair.rpartition(":")
    if not colon:
        raise BadInput(f"{pair!r} does not name two runs.", advice="Use CHAMPION:CHALLENGER.")
    return find_exam_run(store, champion).id, find_exam_run(store, challenger).id
