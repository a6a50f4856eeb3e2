"""Wire models of `/v1/releases`. Data only."""

from __future__ import annotations

from typing import Literal

from yearling.api.http.schemas import ResponseModel

Stage = Literal["draft", "proposed", "signed", "canary", "champion", "retired", "withdrawn"]
ProofStatus = Literal["proven", "unproven", "refused"]
ChangeName = Literal["start_canary", "end_canary", "promote", "rollback", "withdraw", "rules", "resume", "keys", "renew"]


class FindingView(ResponseModel):
    """What one rule of the gate says."""

    rule: str
    """ID of the rule."""
    role: str
    """`target`: has to show a gain. `guard`: must not get worse. `report`: is only shown."""
    decision: str
    """`ALLOW`, `REJECT` or `INCONCLUSIVE`."""
    why: str
    """The reason, in one sentence."""
    overridable: bool
    """Whether people may decide otherwise."""


class ProofView(ResponseModel):
    """What proves that a release is better than the champion."""

    status: ProofStatus
    """`proven`: the gate allows it. `unproven`: it may be used without proof, which stays visible. `refused`: it broke a limit
    that nobody can override."""
    sentence: str
    """The gate's summary, in one sentence; empty if no gate has decided."""
    gate: str | None
    """ID of the gate's decision; null if no gate has decided."""
    findings: list[FindingView]
    """What each rule says: targets first, then guards, then reports."""


class ReleaseDecisionView(ResponseModel):
    """On what grounds a release was promoted, as it is signed."""

    decision: str
    """`ALLOW`, `INCONCLUSIVE` or `REJECT`."""
    gate: str
    """ID of the gate's decision; empty if none was made."""
    override: str
    """Why the release is used without proof; empty if the gate allowed it."""


class ReleaseView(ResponseModel):
    """A release: a model that was or can be served."""

    object: Literal["release"]
    """Always `release`."""
    number: int
    """Number of the release."""
    name: str
    """Name for people, such as `Release 7, 29 November: learnt 18 corrections`."""
    title: str
    """What was changed, in a few words."""
    model: str
    """Name of the model, as requests name it."""
    model_title: str
    """Display name of the model; for an adapter that of the model below it."""
    kind: Literal["model", "adapter", "endpoint"]
    """What was released."""
    stage: Stage
    """`champion` answers requests that name no model, `canary` those of some people; `draft` is not signed yet."""
    created_utc: str
    """Time of the draft, ISO 8601 in UTC."""
    created_by: str
    """Name of the person who made the draft."""
    is_verifiable: bool
    """False for a model of an endpoint: nobody here can check its weights."""
    num_lessons: int
    """Number of lessons that the model learnt."""
    decision: ReleaseDecisionView | None
    """On what grounds it was promoted; null if it never was."""
    proof: ProofView | None
    """What proves it against the champion; null for the champion and for withdrawn releases."""
    can_roll_back: bool
    """Whether it was the champion before, so that one may go back to it."""
    stopped: str
    """Why the model is stopped and who stopped it; empty while it answers."""


class CandidateView(ResponseModel):
    """A model that is installed or served by an endpoint and was never released."""

    model: str
    """Name of the model."""
    title: str
    """Display name of the model."""
    is_adapter: bool
    """Whether training on this machine made it: an adapter on another model."""
    base_model: str
    """Name of the model below an adapter; empty for others."""
    trained_utc: str | None
    """When an adapter was trained, ISO 8601 in UTC; null for others."""
    num_lessons: int
    """Number of lessons that an adapter learnt, as far as they are known here."""
    is_verifiable: bool
    """False for a model of an endpoint."""
    proof: ProofView
    """What proves it against the champion."""


class KeyHolderView(ResponseModel):
    """A person whose signature decides."""

    key_id: str
    """ID of the key."""
    name: str
    """Name of the person."""
    is_me: bool
    """Whether the caller holds the key."""
    is_stored: bool
    """Whether the private key lies on this machine."""
    is_protected: bool
    """Whether signing takes a passphrase."""


class StopView(ResponseModel):
    """A stop that is in force."""

    id: str
    """ID of the stop."""
    created_utc: str
    """Time of the stop, ISO 8601 in UTC."""
    model: str | None
    """Name of the stopped model; null if everything is stopped."""
    by: str
    """Name of the person who stopped it."""
    reason: str
    """Why; can be empty."""


class ReleaseChangeView(ResponseModel):
    """A change that was proposed: it is in force once enough key-holders have signed it."""

    object: Literal["release.change"]
    """Always `release.change`."""
    id: str
    """ID of the change."""
    kind: ChangeName
    """What would change."""
    release: int | None
    """Number of the release; null if the change is about none."""
    release_name: str
    """Name of the release for people; empty if the change is about none."""
    reason: str
    """Why, in the words of the person who proposed it."""
    override: str
    """Why the release would be used without proof; empty otherwise."""
    details: list[str]
    """What a change of keys does: names of the people whose keys come or go, and the new threshold."""
    proposed_by: str
    """Name of the person who proposed it."""
    proposed_utc: str
    """Time of the proposal, ISO 8601 in UTC."""
    threshold: int
    """How many key-holders have to sign."""
    signed_by: list[str]
    """Names of those who have signed."""
    waiting_for: list[str]
    """Names of the other key-holders."""
    num_missing: int
    """How many signatures are missing; 0 if the change is in force."""
    is_published: bool
    """Whether the change is in force."""
    can_sign: bool
    """Whether the caller holds a key on this machine that has not signed yet."""
    needs_passphrase: bool
    """Whether signing takes the caller's passphrase."""
    can_cancel: bool
    """Whether the caller may cancel the change."""


class ReleaseEventView(ResponseModel):
    """A change that is in force."""

    at_utc: str
    """Time, ISO 8601 in UTC."""
    kind: Literal[
        "first", "start_canary", "end_canary", "promote", "rollback", "withdraw", "rules", "resume", "keys", "renew", "stop"
    ]
    """What changed. `first` is the first release, `stop` a stop."""
    release: int | None
    """Number of the release; null if the change was about none."""
    by: str
    """Name of the person who proposed it."""
    reason: str
    """Why; can be empty."""
    signed_by: list[str]
    """Names of the key-holders who signed; of those whose keys are gone, the beginnings of the key IDs."""


class ReleaseStatusView(ResponseModel):
    """What everybody should know about the releases now. Small: pages ask for it often."""

    object: Literal["release_status"]
    """Always `release_status`."""
    is_enabled: bool
    """Whether this server releases models."""
    stops: list[StopView]
    """The stops in force."""
    stop_problem: str
    """Why everything is stopped although nobody stopped it: the file with the stops is damaged. Empty otherwise."""
    problem: str
    """What expired or was damaged, and what to do about it; empty if nothing is wrong."""
    can_stop: bool
    """Whether the caller may stop models: a key-holder or an owner."""
    is_holder: bool
    """Whether the caller is a key-holder."""
    signs_alone: bool
    """Whether the caller decides alone, with one click."""
    num_waiting: int
    """How many changes wait for the caller's signature."""


class ReleasesView(ResponseModel):
    """All releases, who decides about them, and what waits for signatures."""

    object: Literal["releases"]
    """Always `releases`."""
    status: ReleaseStatusView
    """What everybody should know now."""
    version: int
    """Number of the signed version; 0 before the first."""
    champion: int | None
    """Number of the release that answers requests that name no model."""
    champion_since_utc: str | None
    """Since when, ISO 8601 in UTC."""
    challenger: int | None
    """Number of the release in the canary."""
    rollback_target: int | None
    """Number of the release that a rollback goes back to."""
    threshold: int
    """How many key-holders have to sign a change."""
    holders: list[KeyHolderView]
    """The key-holders."""
    expires_utc: dict[str, str]
    """When the signatures of each role expire, ISO 8601 in UTC."""
    data: list[ReleaseView]
    """The releases, newest first."""
    candidates: list[CandidateView]
    """Models that were never released; empty unless the caller is a maintainer or an owner."""
    pending: list[ReleaseChangeView]
    """The changes that wait for signatures."""
    events: list[ReleaseEventView]
    """What was changed, newest first; at most the newest 100."""


class FlippedAnswerView(ResponseModel):
    """A question that both models answered, with different success."""

    kind: Literal["best", "median", "worst"]
    """Where it stands among all changed answers."""
    question: str
    """The question."""
    before: str
    """The answer of the champion."""
    after: str
    """The answer of this release."""
    score_before: float
    """Score of the champion's answer."""
    score_after: float
    """Score of this release's answer."""


class BehaviourChangeView(ResponseModel):
    """How the answers to one exam changed."""

    exam: str
    """Name of the exam."""
    title: str
    """Title of the exam, for people."""
    num_questions: int
    """Number of questions that both models answered."""
    num_better: int
    """Number of those with a better answer."""
    num_worse: int
    """Number of those with a worse answer."""
    champion_run: str
    """ID of the champion's exam run."""
    challenger_run: str
    """ID of this release's exam run."""
    flipped: list[FlippedAnswerView]
    """The best, the median and the worst changed answer."""


class LearntView(ResponseModel):
    """What the release learnt."""

    lessons_by_kind: dict[str, int]
    """Number of lessons by kind."""
    num_judgements: int
    """Number of judgements behind the lessons."""
    num_people: int
    """Number of people behind the judgements."""
    lesson_set: str
    """Hash of the lesson set."""
    lesson_set_version: int
    """Version of the lesson set."""


class ReleasedFileView(ResponseModel):
    """A file that is loaded when the release is served."""

    path: str
    """Path in the data folder."""
    sha256: str
    """SHA-256 of the content."""
    size_bytes: int
    """Size."""


class ReleaseCostView(ResponseModel):
    """What the learning cycle that trained a release cost, and whether the same work became cheaper with it."""

    cycle: str
    """ID of the cycle."""
    cpu_s: float
    """Processor seconds of all of its steps."""
    joules: float | None
    """Energy of the whole machine meanwhile, in joules; null where it cannot be read."""
    cpu_s_per_lesson: float | None
    """Processor seconds of the training for each lesson; null if unknown."""
    cpu_s_per_solved_task: float | None
    """Processor seconds of its exams for each task that it solved; null if it solved none."""
    token_change: float | None
    """Change in the tokens of the same exam tasks from the champion to it: -0.1 means a tenth fewer. Null if not compared."""


class AnswerCostView(ResponseModel):
    """What one answer of a release costs, measured on the exams of the cycle that trained it.

    The processor time of an exam is shared among its answers by how long each took; the figures are medians over all answers.
    """

    num_answers: int
    """Number of answers that were measured."""
    cpu_s: float
    """Median processor seconds of an answer."""
    joules: float | None
    """Median energy of an answer, in joules: the whole machine's, shared by processor time. Null where it cannot be read."""
    cpu_s_before: float | None
    """The same processor seconds for the release that it is compared with; null if nobody measured them."""
    joules_before: float | None
    """The same energy for that release; null where it cannot be read."""


class ReleaseDetail(ReleaseView):
    """A release with its notes, its evidence and its origin."""

    learnt: LearntView | None
    """What it learnt; null if it learnt nothing here or the lesson set has no record."""
    behaviour: list[BehaviourChangeView]
    """What changed in its answers, by exam; empty if no exam compares it with the release before."""
    compared_with: int | None
    """Number of the release that it is compared with: the champion when it was drafted."""
    cost: ReleaseCostView | None
    """What the cycle that trained it cost; null if no cycle did."""
    cost_before: ReleaseCostView | None
    """The same of the release that it is compared with; null without one that a cycle trained."""
    answer_cost: AnswerCostView | None
    """What one answer costs; null if no cycle measured it."""
    parent: int | None
    """Number of the champion when the draft was made."""
    children: list[int]
    """Numbers of the releases whose drafts were made while this one was the champion."""
    run_id: str
    """ID of the training run; empty without one."""
    base_model: str
    """Name of the model below an adapter; empty for others."""
    consensus: str
    """Hash of the consensus snapshot behind the lessons; empty without one."""
    model_hash: str
    """Content hash of the model or adapter; empty for an endpoint."""
    endpoint_url: str
    """Where the model is served; empty for a model of this machine."""
    program_version: str
    """Version of Yearling that made the draft."""
    files: list[ReleasedFileView]
    """The files that are loaded."""
    events: list[ReleaseEventView]
    """What happened to the release, newest first."""


class CanaryMonitorView(ResponseModel):
    """One thing that is watched in a canary."""

    name: str
    """`bad_answers`, `refusals`, `spec`, `thumbs`, `latency` or `preference`."""
    pairs: int
    """Number of pairs of answers that it compares."""
    discordant: int
    """Number of pairs in which exactly one answer is flagged."""
    challenger_only: int
    """Number of those in which the challenger's answer is flagged."""
    stopped_at: int | None
    """The pair after which it stopped the canary; null if it did not."""


class CanaryClaimView(ResponseModel):
    """Whether a share of bad answers would have been seen by now."""

    champion_rate: float
    """Share of bad answers of the champion."""
    challenger_rate: float
    """Share of bad answers of the challenger."""
    probability: float
    """Probability that the canary would have been stopped by now."""
    is_seen: bool
    """Whether that is probable enough to rely on."""


class CanaryView(ResponseModel):
    """The canary of the challenger, live."""

    object: Literal["canary"]
    """Always `canary`."""
    release: int | None
    """Number of the release in the canary; null without one, and then nothing else is said."""
    release_name: str
    """Name of the release for people."""
    decision: Literal["stop", "continue", "ready", ""]
    """`stop`: it was stopped. `ready`: nothing stopped it, and enough was seen."""
    percent: int
    """Percentage of the people who get the challenger now."""
    num_people: int
    """Number of people on this installation."""
    expected_people: float
    """How many of them are expected to get it."""
    live_pairs: int
    """Number of pairs from people's conversations."""
    replayed_pairs: int
    """Number of pairs from stored questions that the challenger answered again."""
    monitors: list[CanaryMonitorView]
    """What is watched."""
    claims: list[CanaryClaimView]
    """What would have been seen by now."""
    reason: str
    """Why it stopped; empty if it goes on."""
    seen: str
    """What the canary could have seen and what not, in a sentence."""
    plan: str
    """Why not more people get it yet, in a sentence; empty if everybody may."""
