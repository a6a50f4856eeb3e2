"""How far is a challenger from its champion, and is the model that is served the model that was trained?

The exam `drift` samples short answers of the challenger at temperature 1, to instructions that no training draws, and scores the
same tokens twice: by the champion, and by the challenger on the engine that training uses (torch). Per token of the answers,

    kl      mean of log p(challenger) − log p(champion): an unbiased estimate of KL(challenger ‖ champion), in nats
            (k1 of Schulman, "Approximating KL divergence", 2020)
    parity  mean of |log p(served) − log p(trained)|, in nats

Training reports a divergence from its own base only, and only where its loss needs one; parity it cannot know.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from yearling.errors import BadInput, Unsupported
from yearling.evals.case import Case, Exam, GraderCard, SubjectResponse, Verdict
from yearling.evals.exams.constraints import build_constraints
from yearling.evals.exams.sources import ExamDataFolders
from yearling.evals.subject import AssistantSubject, served_model_hash
from yearling.inference import ServedModel
from yearling.records import SamplingSettings

DRIFT_EXAM = "drift"
NUM_PROMPTS = 100
MAX_TOKENS = 64


class DriftGrader:
    """Turns the log-probabilities of a sample into the two metrics. Reads no word of the answer."""

    name = "drift"
    version = "1"
    card = GraderCard(grader="drift", kind="exact", note="Arithmetic on log-probabilities.")

    def grade(self, case: Case, response: SubjectResponse) -> Verdict:
        """See the class. The score is 1 where something could be measured."""
        num_tokens = len(response.logprobs)
        if not num_tokens:
            return Verdict(score=0.0, label="empty")
        champion_sum, distance_sum = response.option_logprobs
        kl = sum(response.logprobs) - champion_sum
        return Verdict(
            score=1.0, label="measured", ratios={"kl": (kl, float(num_tokens)), "parity": (distance_sum, float(num_tokens))}
        )


@dataclass(frozen=True, slots=True)
class DriftModels:
    """The challenger as it is served, the champion, and the challenger on the engine of training."""

    challenger: ServedModel
    champion: ServedModel
    trained: ServedModel


class DriftSubject:
    """The challenger as the assistant, whose answers the other two models score.

    A response carries (sum of the champion's log-probabilities, sum of distances to the trained model's) in `option_logprobs`.
    """

    kind = "assistant"

    def __init__(self, models: DriftModels) -> None:
        """Raises Unsupported for a model that cannot score given tokens, BadInput if the trained model is not the challenger."""
        for served in (models.champion, models.trained):
            if not served.engine.capabilities.score:
                raise Unsupported(
                    f"{served.name} cannot return the log-probabilities of given tokens.", advice="Measure drift on local models."
                )
        if models.trained.adapter_hash != models.challenger.adapter_hash:
            raise BadInput(f"{models.trained.name} is not {models.challenger.name}: their adapters differ.")
        self._models = models
        self._assistant = AssistantSubject(models.challenger)
        self.model, self.model_hash = self._assistant.model, self._assistant.model_hash
        self.max_concurrency = self._assistant.max_concurrency

    async def respond(self, case: Case, sampling: SamplingSettings) -> SubjectResponse:
        """See `Subject.respond`."""
        response = await self._assistant.respond(case, sampling)
        if response.error or not response.output_ids:
            return response
        if not response.prompt_ids or len(response.logprobs) != len(response.output_ids):
            raise Unsupported(f"{self.model} reports no token ids.", advice="Measure drift on local models.")
        champion = await self._score(self._models.champion, response)
        trained = await self._score(self._models.trained, response)
        distance = sum(abs(served - own) for served, own in zip(response.logprobs, trained, strict=True))
        return replace(response, option_logprobs=(sum(champion), distance), option_tokens=(len(champion), len(trained)))

    async def _score(self, served: ServedModel, response: SubjectResponse) -> Sequence[float]:
        pairs = [(response.prompt_ids, response.output_ids)]
        (scores,) = await served.engine.score(pairs, adapter_hash=served.adapter_hash)
        return scores


def build_drift_exam(folders: ExamDataFolders, champion: ServedModel, *, num_prompts: int = NUM_PROMPTS) -> Exam:
    """The exam against one champion, whose hash it carries as its source. Raises BadInput without prompts."""
    if num_prompts < 1:
        raise BadInput("Drift needs at least one prompt.")
    prompts = build_constraints(folders).cases[:num_prompts]
    champion_hash = served_model_hash(champion)
    return Exam(
        name=DRIFT_EXAM,
        title="Distance from the champion, and parity of served and trained log-probabilities",
        cases=tuple(Case(key=case.key, messages=case.messages, data={"champion": champion_hash}) for case in prompts),
        grader=DriftGrader(),
        sampling={"temperature": 1.0, "top_p": 1.0, "max_tokens": MAX_TOKENS},
        source=champion_hash,
        licence="Apache-2.0",
        description="Sampled at temperature 1, so that the mean over tokens estimates the divergence.",
    )
