"""Builds a training method from a run folder: model, policy, lessons and environments. Lists the training methods.

A run is built from its folder alone, at its start and whenever it is resumed, so that run.json fully determines what it learns.
Modules that need torch are imported when a method is built.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from yearling.errors import BadInput, Unsupported, Untrusted, install_advice
from yearling.files.sync import make_directory
from yearling.models import AdapterLibrary, ChatTemplate, LocalModel, ModelLibrary, Tokenizer, load_adapter, load_decoder
from yearling.training.device import Device, Dtype, choose_device, choose_dtype
from yearling.training.distributed import world_size
from yearling.training.methods.protocol import Method
from yearling.training.run import RunFolder

if TYPE_CHECKING:
    from yearling.tasks import Demonstration, Environment, LessonSet, PreferencePair, Thumb
    from yearling.training.config import TrainingConfig
    from yearling.training.methods.offline import OfflineConfig
    from yearling.training.policy.policy import Policy
    from yearling.training.rollouts.collector import ReinforcementConfig
    from yearling.training.rollouts.curriculum import Arm


@dataclass(frozen=True, slots=True)
class MethodEntry:
    """Where a training method lives, and what it learns from."""

    module: str
    method: str
    """Name of the method's class in the module."""
    config: str
    """Name of the dataclass of its settings in the module."""
    summary: str
    """What it does, in one sentence for the command line."""
    lessons: Literal["demonstrations", "pairs", "thumbs", ""] = ""
    """The lessons of a set that it learns from; empty for a method that learns from rollouts."""
    multi_process: bool = False
    """Whether several processes can train it together. Online methods sample, and the reward model has a head, in one process."""
    only_emitted_answers: bool = False
    """Whether it leaves out answers that their owners edited. Reinforcement learning optimises what a reward model says, so a
    reward model judges only what models emit."""


_METHODS = "yearling.training.methods"
METHOD_TABLE: Mapping[str, MethodEntry] = {
    "sft": MethodEntry(
        f"{_METHODS}.sft",
        "Sft",
        "SftConfig",
        "Supervised fine-tuning: learn to imitate good answers.",
        lessons="demonstrations",
        multi_process=True,
    ),
    "dpo": MethodEntry(
        f"{_METHODS}.dpo",
        "Dpo",
        "DpoConfig",
        "Preference optimisation on pairs: prefer the answers that both sides prefer, weighted by their consensus.",
        lessons="pairs",
        multi_process=True,
    ),
    "kto": MethodEntry(
        f"{_METHODS}.kto",
        "Kto",
        "KtoConfig",
        "Preference optimisation on single answers that were rated good or bad.",
        lessons="thumbs",
        multi_process=True,
    ),
    "reward": MethodEntry(
        f"{_METHODS}.reward",
        "Reward",
        "RewardConfig",
        "Train a reward model on pairs of answers.",
        lessons="pairs",
        only_emitted_answers=True,
    ),
    "grpo": MethodEntry(
        f"{_METHODS}.grpo",
        "Grpo",
        "GrpoConfig",
        "Reinforcement learning on graded tasks; an answer is compared with the others to its prompt.",
    ),
    "ppo": MethodEntry(
        f"{_METHODS}.ppo",
        "Ppo",
        "PpoConfig",
        "Reinforcement learning on graded tasks with a value head, for long or multi-turn tasks.",
    ),
    "rejection": MethodEntry(
        f"{_METHODS}.rejection",
        "Rejection",
        "RejectionConfig",
        "Rejection sampling: try graded tasks, keep the solved answers and fine-tune on them.",
    ),
}
"""Every training method by its name in run.json and on the command line. The modules are imported on first use, as they need
torch."""

READER_METHOD = "reader"
"""What trains a reader, as run.json names it. It learns from neither lessons nor environments, so it is no entry of the table."""

METHODS = tuple(METHOD_TABLE)
MULTI_PROCESS_METHODS = tuple(name for name, entry in METHOD_TABLE.items() if entry.multi_process)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSetup:
    """What a run starts from, as plain values for run.json. Raises BadInput if the values contradict each other."""

    model: str
    rank: int = 16
    """Rank of the LoRA adapter."""
    alpha: float = 0.0
    """Scale of the LoRA adapter; 0 is twice the rank."""
    bare_share: float = 0.0
    """Share of the blocks, from below, that have no LoRA adapter."""
    full: bool = False
    """Train all weights instead of an adapter."""
    device: Device = "auto"
    """`auto` is one GPU if there is one. run.json records the choice."""
    dtype: Dtype = "auto"
    """Number format of the frozen base; `auto` is bfloat16 if the device is fast in it. An adapter is always trained in
    float32."""
    adapter: str = ""
    """Hash of a published adapter to continue from."""
    lessons: str = ""
    """Hash of the lesson set."""
    earlier: tuple[str, ...] = ()
    """Hashes of earlier lesson sets to replay."""
    environments: tuple[str, ...] = ()
    """`NAME` or `NAME,setting=value,...`, each a source of tasks."""

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha < 0:
            raise BadInput("The rank must be at least 1, and alpha must not be negative.", param="rank")
        if not 0 <= self.bare_share < 1:
            raise BadInput("The share of blocks without an adapter must be at least 0 and below 1.", param="bare_share")
        if self.full and self.adapter:
            raise BadInput("A run trains all weights or an adapter, not both.", advice="Leave out --full or --adapter.")


@dataclass(frozen=True, slots=True)
class ArtefactStores:
    """Where a run finds the models, adapters and lesson sets that run.json names."""

    library: ModelLibrary
    adapters: AdapterLibrary
    lessons_dir: Path

    @classmethod
    def from_data_dir(cls, data_dir: Path) -> ArtefactStores:
        """The stores of one data folder."""
        return cls(ModelLibrary(data_dir / "models"), AdapterLibrary(data_dir / "adapters"), data_dir / "lessons")


def config_class(method: str) -> type[TrainingConfig]:
    """The dataclass of a method's settings. Raises BadInput for an unknown method, and if torch is not installed."""
    return cast("type[TrainingConfig]", _import_attribute(method, _find_method(method).config))


def method_class(method: str) -> Any:
    """The class of a method. Raises BadInput for an unknown method, and if torch is not installed."""
    return _import_attribute(method, _find_method(method).method)


def create_run(
    folder: Path,
    method: str,
    config: Mapping[str, object],
    setup: RunSetup,
    stores: ArtefactStores,
    *,
    options: Mapping[str, object] | None = None,
    command: Sequence[str] = (),
    threads: int = 0,
) -> RunFolder:
    """Check everything that can be checked without loading weights, then create the run's folder.

    Raises NotFound for an unknown model, lesson set or adapter, BadInput for wrong settings, and Untrusted if a lesson set was
    changed or the adapter was made for another model."""
    from yearling.tasks import LessonSet

    settings = config_class(method).from_dict(config)
    device = choose_device(setup.device)
    setup = replace(setup, device=device, dtype=choose_dtype(setup.dtype, device))
    model = stores.library.get(setup.model)
    if METHOD_TABLE[method].lessons:
        if not setup.lessons:
            raise BadInput(f"{method} needs a lesson set.", advice="Give --lessons HASH or --lessons latest.")
        if setup.environments:
            raise BadInput(f"{method} learns from lessons, not from environments.", advice="Leave out --environment.")
    elif not setup.lessons and not setup.environments:
        raise BadInput(f"{method} needs tasks to try.", advice="Give --environment NAME, or --lessons with prompts.")
    for lesson_set in (*([setup.lessons] if setup.lessons else []), *setup.earlier):
        LessonSet.open(stores.lessons_dir / lesson_set)
    for spec in setup.environments:
        _parse_environment(spec)
    if setup.adapter and stores.adapters.get(setup.adapter).fits(model) != "same":
        raise Untrusted(f"The adapter {setup.adapter[:12]} was made for another model than {model.name}.")
    return RunFolder.create(
        folder,
        settings.to_dict(),
        method=method,
        seed=settings.seed,
        model={"name": model.name, "sha256": model.sha256, "source_sha256": model.source_sha256},
        lesson_set=setup.lessons,
        setup=asdict(setup),
        options=options,
        command=command,
        threads=threads,
        device=device,
    )


def read_setup(run: RunFolder) -> RunSetup:
    """What a run started from. Raises BadInput for a run that `create_run` did not create."""
    # The oldest runs have neither: they were trained on the CPU, with an adapter on every block.
    values = {"device": "cpu", "bare_share": 0.0, **run.facts["setup"]}
    if not {field.name for field in fields(RunSetup)} <= values.keys():
        raise BadInput(
            f"The run.json of {run.id} does not describe everything that the run was built from.",
            advice="Only runs that `yearling train` created can be resumed and exported.",
        )
    return RunSetup(**values | {name: tuple(values[name]) for name in ("earlier", "environments")})


def build_method(run: RunFolder, stores: ArtefactStores) -> Method:
    """Load everything that run.json names, and build the method.

    Raises NotFound if the model, a lesson set or an adapter is missing, Untrusted if one was changed, and Unsupported if several
    processes train a method that needs one process."""
    from yearling.tasks import LessonSet

    setup, name = read_setup(run), run.facts["method"]
    if world_size() > 1 and name not in MULTI_PROCESS_METHODS:
        raise Unsupported(
            f"{name} trains in one process.",
            advice=f"Methods that several processes can train: {', '.join(MULTI_PROCESS_METHODS)}.",
        )
    model = base_model(run, stores)
    if name == READER_METHOD:
        return _build_reader(run, model, stores)
    config = config_class(name).from_dict(run.facts["config"])
    policy = build_policy(run, model, stores)
    if world_size() > 1:
        policy.shard()
    lessons = LessonSet.open(stores.lessons_dir / setup.lessons) if setup.lessons else None
    tokenizer, template = Tokenizer.load(model), ChatTemplate.load(model)
    if METHOD_TABLE[name].lessons:
        offline_config = cast("OfflineConfig", config)
        return _build_offline_method(name, offline_config, policy, run, stores, lessons, tokenizer, template)
    online_config = cast("ReinforcementConfig", config)
    return _build_online_method(name, online_config, policy, run, lessons, tokenizer, template)


def base_model(run: RunFolder, stores: ArtefactStores) -> LocalModel:
    """The model that a run trains. Raises NotFound, and Untrusted if its name now stands for other weights."""
    recorded = run.facts["model"]
    model = stores.library.get(recorded["name"])
    if model.sha256 != recorded["sha256"]:
        raise Untrusted(
            f"The model {model.name} now has the weights {model.sha256[:12]}, but the run trains {recorded['sha256'][:12]}.",
            advice="Import the original weights again, or start a new run.",
        )
    return model


def prepare_for_processes(run: RunFolder, stores: ArtefactStores) -> None:
    """Do in this process what several that share a model cannot: let the bare model answer the prompts of the KL mode `anchor`.

    Raises what `build_method` raises."""
    if run.facts["config"].get("kl_mode") == "anchor":
        build_method(run, stores)


def build_policy(run: RunFolder, model: LocalModel, stores: ArtefactStores) -> Policy:
    """The policy as it was before the first step. Raises NotFound and Untrusted for a missing or changed adapter."""
    from yearling.training.policy.policy import Policy

    setup = read_setup(run)
    device = choose_device(setup.device)
    decoder = load_decoder(model.weights, dtype=choose_dtype(setup.dtype, device))
    if setup.full:
        return Policy.full(decoder, base_sha256=model.sha256, device=device)
    if setup.adapter:
        published = stores.adapters.verify(setup.adapter)
        decoder.to(device)
        adapter = load_adapter(published.weights, decoder, base_sha256=model.sha256)
        return Policy.with_adapter(decoder, adapter)
    alpha = setup.alpha or None
    seed = int(run.facts["seed"])
    return Policy.lora(
        decoder,
        base_sha256=model.sha256,
        rank=setup.rank,
        alpha=alpha,
        seed=seed,
        device=device,
        first_block=int(setup.bare_share * decoder.config.num_layers),
    )


def _build_reader(run: RunFolder, model: LocalModel, stores: ArtefactStores) -> Method:
    """The method that trains the reader of a model."""
    from yearling.inference import PromptRenderer
    from yearling.training.reader.method import Reader, ReaderConfig

    config = ReaderConfig.from_dict(run.facts["config"])
    tokenizer, template = Tokenizer.load(model), ChatTemplate.load(model)
    policy = build_policy(run, model, stores)
    return Reader(config, policy, tokenizer, PromptRenderer(tokenizer, template), cache_folder=run.folder)


def _build_offline_method(
    name: str,
    config: OfflineConfig,
    policy: Policy,
    run: RunFolder,
    stores: ArtefactStores,
    lessons: LessonSet | None,
    tokenizer: Tokenizer,
    template: ChatTemplate,
) -> Method:
    """A method that learns from lessons."""
    from yearling.inference import PromptRenderer
    from yearling.tasks import LessonSet
    from yearling.training.data.encoding import LessonEncoder

    if lessons is None:
        raise Untrusted(f"The run.json of {run.id} names no lesson set.")
    encoder = LessonEncoder(tokenizer, PromptRenderer(tokenizer, template), str(run.facts["model"]["sha256"]), config.max_tokens)
    earlier_sets = [LessonSet.open(stores.lessons_dir / lesson_set) for lesson_set in read_setup(run).earlier]
    earlier = [lesson for lesson_set in earlier_sets for lesson in _lessons_for_method(lesson_set, name)]
    cache_folder = run.folder / "references"
    make_directory(cache_folder)
    method = method_class(name)(
        config, policy, _lessons_for_method(lessons, name), encoder, earlier=earlier, cache_folder=cache_folder
    )
    if METHOD_TABLE[name].only_emitted_answers and (edited := lessons.keys_edited_by_author()):
        run.log(f"Lessons left out whose authors edited the answer: {len(edited)}.")
    if encoder.dropped_by_reason:
        run.log(f"Lessons left out: {json.dumps(encoder.dropped_by_reason, sort_keys=True)}.")
    return cast(Method, method)


def _build_online_method(
    name: str,
    config: ReinforcementConfig,
    policy: Policy,
    run: RunFolder,
    lessons: LessonSet | None,
    tokenizer: Tokenizer,
    template: ChatTemplate,
) -> Method:
    """A method that learns from its own rollouts."""
    from yearling.inference import PromptRenderer
    from yearling.tasks import open_environment
    from yearling.training.rollouts.collector import RolloutCollector
    from yearling.training.rollouts.curriculum import Curriculum
    from yearling.training.rollouts.runner import RenderedPromptCodec, RolloutRunner
    from yearling.training.rollouts.sampler import Sampler

    codec = RenderedPromptCodec(tokenizer, PromptRenderer(tokenizer, template))
    sampler = Sampler(policy.decoder, stop_ids=codec.stop_ids, frozen_base=policy.has_adapter)
    curriculum = Curriculum(_build_arms(read_setup(run), lessons), config.seed, (config.hard, config.easy))
    collector = RolloutCollector(config, RolloutRunner(sampler, codec, open_environment), curriculum, run)
    return cast(Method, method_class(name)(config, policy, collector))


def _build_arms(setup: RunSetup, lessons: LessonSet | None) -> list[Arm]:
    """The curriculum's sources of tasks: the environments, then each prompt of the lesson set."""
    from yearling.tasks import Task
    from yearling.training.rollouts.curriculum import environment_arm, prompt_arms

    arms = [environment_arm(_parse_environment(spec), name=spec) for spec in setup.environments]
    prompts = lessons.prompts() if lessons else []
    tasks = [Task(prompt.key, prompt.messages, prompt.environment, dict(prompt.task)) for prompt in prompts]
    return [*arms, *prompt_arms(tasks)]


def _parse_environment(spec: str) -> Environment:
    """Open `NAME,setting=value,...`. A value is read as JSON if possible, else as text. Raises BadInput for a setting without
    `=`."""
    from yearling.tasks import open_environment

    name, *assignments = spec.split(",")
    settings: dict[str, object] = {}
    for assignment in assignments:
        key, equals, value = assignment.partition("=")
        if not equals:
            raise BadInput(
                f"{assignment!r} is not a setting of an environment.", advice="Write NAME,setting=value,...", param="environment"
            )
        try:
            settings[key] = json.loads(value)
        except ValueError:
            settings[key] = value
    return open_environment(name, **settings)


def _lessons_for_method(lessons: LessonSet, method: str) -> Sequence[Demonstration | PreferencePair | Thumb]:
    """The lessons of a set that a method learns from."""
    entry = METHOD_TABLE[method]
    edited = lessons.keys_edited_by_author() if entry.only_emitted_answers else frozenset()
    match entry.lessons:
        case "demonstrations":
            return [lesson for lesson in lessons.demonstrations() if lesson.key not in edited]
        case "pairs":
            return [lesson for lesson in lessons.pairs() if lesson.key not in edited]
        case "thumbs":
            return [lesson for lesson in lessons.thumbs() if lesson.key not in edited]
    raise ValueError(f"{method} does not learn from lessons")


def _find_method(method: str) -> MethodEntry:
    if method not in METHOD_TABLE:
        raise BadInput(f"There is no method {method!r}.", advice=f"Available methods: {', '.join(METHODS)}.", param="method")
    return METHOD_TABLE[method]


def _import_attribute(method: str, attribute: str) -> Any:
    try:
        return getattr(importlib.import_module(_find_method(method).module), attribute)
    except ImportError as error:
        if error.name != "torch":
            raise
        raise BadInput("Training needs torch, which is not installed.", advice=install_advice("train")) from None
