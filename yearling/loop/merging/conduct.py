"""Merges installations: the plan, the adapters, the proof, and then everything at once or nothing.

Works in a scratch folder whose adapters nobody else sees. Knows models and engines only through `MergeTools`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from yearling.clock import new_id
from yearling.errors import BadInput, Untrusted
from yearling.evals import Case, ExamDataFolders
from yearling.feedback import FeedbackLog
from yearling.loop.lineage import TracedModel, trace_model
from yearling.loop.merging.bundle import MergeSide
from yearling.loop.merging.commit import ProvenMerge, commit_merge, merges_dir
from yearling.loop.merging.entries import MergedEntries, combine_entries, effective_entries, entries_switched_off
from yearling.loop.merging.export import describe_installation
from yearling.loop.merging.proof import MergeProgress, MergeProof, MergeTools, control_questions, prove_merge
from yearling.records import MergeSource
from yearling.store import CorrectionScope, Store
from yearling.training import ArtefactStores, import_adapter, publish_merged_adapter

MergeMethodName = Literal["average", "ties", "dare"]
MAX_FOLDERS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeOptions:
    """`share` is the weight of each adapter: with two, 0.5 is their mean and 1 is their sum."""

    model: str
    person_id: str
    method: MergeMethodName = "average"
    share: float = 0.5
    corrections_only: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.share <= 2:
            raise BadInput("The share of an adapter must be above 0 and at most 2.", param="share")


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallationMerge:
    """A merge that can start. The first side is this installation."""

    sides: tuple[MergeSide, ...]
    entries: MergedEntries
    expected_version: str
    options: MergeOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeOutcome:
    """What a merge came to. `adapter` is the hash of the merged adapter, empty if there is none; `id` is empty if refused."""

    id: str
    adapter: str
    num_new: int
    proof: MergeProof


def describe_own_side(
    store: Store,
    person_id: str,
    *,
    name: str,
    base: str,
    base_sha256: str,
    scopes: Collection[CorrectionScope] = ("me", "team"),
    traced: TracedModel | None = None,
    adapter_file: Path | None = None,
    questions: Sequence[Case] = (),
) -> MergeSide:
    """What this installation brings: the corrections that act for a person, and an adapter with its lineage."""
    if any(case.options for case in questions):
        raise BadInput("Held-back questions of a merge cannot have options.", advice="Use the check `contains_any`.")
    lineage = trace_model(store, traced) if traced is not None else None
    source = describe_installation(
        store,
        name,
        adapter=traced.hashes[0] if traced is not None else "",
        judgements=[judgement.id for judgement in lineage.judgements] if lineage is not None else (),
        runs=[run.id for run in lineage.runs] if lineage is not None else (),
    )
    return MergeSide(
        source=source,
        entries=tuple(entry for entry in effective_entries(store, person_id) if entry.scope in scopes),
        questions=tuple(questions),
        earlier=traced.merged_from if traced is not None else (),
        adapter_file=adapter_file,
        base=base,
        base_sha256=base_sha256,
    )


def plan_merge(store: Store, own: MergeSide, others: Sequence[MergeSide], options: MergeOptions) -> InstallationMerge:
    """Find what is new and what contradicts.

    Raises BadInput for two folders of one installation, and Untrusted for an adapter of other weights.
    """
    seen: dict[str, str] = {}
    for side in others:
        if side.source.installation in seen:
            raise BadInput(f"Two folders come from {side.name}.", advice="Name the newer one only.")
        seen[side.source.installation] = side.name
        if side.source.adapter and not options.corrections_only and side.base_sha256 != own.base_sha256:
            raise Untrusted(
                f"The adapter of {side.name} was made for {side.base} ({side.base_sha256[:12]}), and here answers {own.base} "
                f"({own.base_sha256[:12]}).",
                advice="Merge the corrections alone with `--corrections-only`, or install the same model here.",
            )
    sides = (own, *others)
    return InstallationMerge(
        sides=sides,
        entries=combine_entries(sides, switched_off=entries_switched_off(store, options.person_id)),
        expected_version=store.corrections.version(options.person_id),
        options=options,
    )


def run_merge(
    log: FeedbackLog,
    stores: ArtefactStores,
    scratch: ArtefactStores,
    merge: InstallationMerge,
    tools: MergeTools,
    data_dir: Path,
    *,
    progress: MergeProgress = lambda done, total: None,
) -> MergeOutcome:
    """Merge the adapters in `scratch`, prove the merge, and store it if the proof holds; else nothing changes.

    Raises what the proof and `commit_merge` raise, and Untrusted for an adapter that is not what its folder says.
    """
    options = merge.options
    adapters, merged_adapter = _merge_adapters(scratch, merge)
    controls = control_questions(ExamDataFolders(data_dir / "exams", None))
    proof = prove_merge(merge.sides, merge.entries, adapters, merged_adapter, controls, tools, progress=progress)
    if not proof.ok:
        return MergeOutcome(id="", adapter="", num_new=0, proof=proof)
    merge_id = new_id()
    own_adapter = merge.sides[0].source.adapter
    proven = ProvenMerge(
        id=merge_id,
        person_id=options.person_id,
        model=options.model,
        entries=merge.entries,
        expected_version=merge.expected_version,
        adapter="" if merged_adapter == own_adapter else merged_adapter,
        adapter_file=scratch.adapters.get(merged_adapter).weights if merged_adapter else None,
        sources=_all_sources(merge.sides, adapters),
        report=_report(merge, proof, merged_adapter),
    )
    num_new = commit_merge(log, stores, merges_dir(data_dir), proven)
    return MergeOutcome(id=merge_id, adapter=merged_adapter, num_new=num_new, proof=proof)


def _merge_adapters(scratch: ArtefactStores, merge: InstallationMerge) -> tuple[list[str], str]:
    """(the hash of each side's adapter, the hash of the merged one), all published in the scratch folder; empty for none."""
    options, adapters = merge.options, []
    for number, side in enumerate(merge.sides):
        if side.adapter_file is None or (options.corrections_only and number):
            adapters.append("")
            continue
        published = import_adapter(scratch, options.model, side.adapter_file)
        if published.sha256 != side.source.adapter:
            raise Untrusted(f"The adapter of {side.name} is not one that Yearling has published.", advice="Export it again.")
        adapters.append(published.sha256)
    different = list(dict.fromkeys(filter(None, adapters)))
    if len(different) < 2:
        return adapters, different[0] if different else ""
    shares = [options.share] * len(different)
    return adapters, publish_merged_adapter(scratch, options.model, different, method=options.method, weights=shares).sha256


def _all_sources(sides: Sequence[MergeSide], adapters: Sequence[str]) -> tuple[MergeSource, ...]:
    """The installations behind a merge, those of earlier merges last."""
    earlier = [source for side, adapter in zip(sides, adapters, strict=True) if adapter for source in side.earlier]
    known: dict[tuple[str, str], MergeSource] = {}
    for source in (*(side.source for side in sides), *earlier):
        known.setdefault((source.installation, source.adapter), source)
    return tuple(known.values())


def _report(merge: InstallationMerge, proof: MergeProof, merged_adapter: str) -> dict[str, Any]:
    return {
        "with": [
            {
                "installation": side.source.installation,
                "name": side.name,
                "adapter": side.source.adapter,
                "log_entries": side.source.log_entries,
                "log_head": side.source.log_head,
                "fingerprint": side.fingerprint,
                "corrections": len(side.entries),
            }
            for side in merge.sides
        ],
        "model": merge.options.model,
        "adapter": merged_adapter,
        "method": merge.options.method,
        "share": merge.options.share,
        "new_corrections": len(merge.entries.new),
        "contradictions": len(merge.entries.contradictions),
        "proof": proof_to_json(proof),
    }


def proof_to_json(proof: MergeProof) -> dict[str, Any]:
    """The proof as JSON values, without the words of corrections, which are private."""
    parts = [asdict(part) | {"lost": len(part.lost), "allowed": part.allowed} for part in proof.parts]
    controls = {"total": proof.controls, "alone": list(proof.controls_alone), "after": proof.controls_after}
    return {"ok": proof.ok, "parts": parts, "controls": controls}
