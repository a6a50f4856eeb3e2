"""From a run folder to the method that it describes: model, policy, lessons, environments.

A run is built from its folder alone, at its start and at every resumption, so that nothing but what stands in run.json can decide
what it learns. Modules that need torch are imported when a run is built.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from yearling.errors import BadInput, Unsupported, Untrusted
from yearling.models import AdapterLibrary, ChatTemplate, LocalModel, ModelLibrary, Tokenizer, load_adapter, load_decoder
from yearling.training.device import Device, Dtype, choose_device, choose_dtype
from yearling.training.distributed import world_size
from yearling.training.methods.protocol import Method
from yearling.training.run import RunFolder

if TYPE_CHECKING:
    from yearling.tasks import Environment, LessonSet
    from yearling.training.policy.policy import Policy
    from yearling.training.rollouts.curriculum import Arm

METHODS = ("sft", "dpo", "kto", "reward", "grpo", "ppo", "rejection")
"""The module of the same name holds the method and its configuration."""

MULTI_PROCESS_METHODS = ("sft", "dpo", "kto")
"""Several processes can train these together: reinforcement draws its answers, and the reward model has a head, in one."""

_LESSON_KINDS = {"sft": "demonstrations", "dpo": "pairs", "kto": "thumbs", "reward": "pairs"}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSetup:
    """What a run starts from. Plain values, as they stand in run.json."""

    model: str
    rank: int = 16
    alpha: float = 0.0
    """0 is twice the rank."""
    full: bool = False
    """Train all weights instead of an adapter."""
    device: Device = "auto"
    """`auto` is one GPU where there is one. run.json says what was chosen."""
    dtype: Dtype = "auto"
    """Of the frozen base; `auto` is bfloat16 where the device is fast in it. An adapter is always trained in float32."""
    adapter: str = ""
    """Hash of a published adapter to go on from."""
    lessons: str = ""
    """Hash of the lesson set."""
    earlier: tuple[str, ...] = ()
    """Hashes of earlier sets to replay."""
    environments: tuple[str, ...] = ()
    """`NAME` or `NAME,setting=value,...`, each a source of tasks."""

    def __post_init__(self) -> None:
        if self.rank < 1 or self.alpha < 0:
            raise BadInput("The rank must be at least 1, and alpha must not be negative.", param="rank")
        if self.full and self.adapter:
            raise BadInput("All weights are trained, or an adapter is: not both.", advice="Leave out --full or --adapter.")


@dataclass(frozen=True, slots=True)
class ArtefactStores:
    """Where a run finds what run.json names by hash."""

    library: ModelLibrary
    adapters: AdapterLibrary
    lessons_dir: Path

    @classmethod
    def from_data_dir(cls, data_dir: Path) -> ArtefactStores:
        """The folders of one installation."""
        return cls(ModelLibrary(data_dir / "models"), AdapterLibrary(data_dir / "adapters"), data_dir / "lessons")


def config_class(method: str) -> Any:
    """The frozen dataclass of a method's settings, with `from_plain` and `plain`. Raises BadInput for an unknown method."""
    return getattr(_import_method(method), f"{method.capitalize()}Config")


def method_class(method: str) -> Any:
    """The class of a method. Raises BadInput for an unknown one."""
    return getattr(_import_method(method), method.capitalize())


def create_run(
    folder: Path,
    method: str,
    config: Mapping[str, Any],
    setup: RunSetup,
    stores: ArtefactStores,
    *,
    options: Mapping[str, Any] | None = None,
    command: Sequence[str] = (),
    threads: int = 0,
) -> RunFolder:
    """Check everything that can be checked without loading weights, then make the run's folder.

    Raises NotFound (model, lessons, adapter), BadInput (settings), Untrusted (lessons that were changed)."""
    from yearling.tasks import LessonSet

    settings = config_class(method).from_dict(config)
    device = choose_device(setup.device)
    setup = replace(setup, device=device, dtype=choose_dtype(setup.dtype, device))
    model = stores.library.get(setup.model)
    if method in _LESSON_KINDS:
        if not setup.lessons:
            raise BadInput(
                f"{method} learns from lessons, and none were named.", advice="Give --lessons HASH or --lessons latest."
            )
        if setup.environments:
            raise BadInput(f"{method} learns from lessons, not from environments.", advice="Leave out --environment.")
    elif not setup.lessons and not setup.environments:
        raise BadInput(f"{method} needs tasks to try.", advice="Give --environment NAME, or --lessons with prompts.")
    for name in (*([setup.lessons] if setup.lessons else []), *setup.earlier):
        LessonSet.open(stores.lessons_dir / name)
    for text in setup.environments:
        _parse_environment(text)
    if setup.adapter and stores.adapters.get(setup.adapter).fits(model) != "same":
        raise Untrusted(f"The adapter {setup.adapter[:12]} was made for another model than {model.name}.")
    return RunFolder.create(
        folder,
        settings.plain(),
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
    """What a run started from. Raises BadInput for a run that something else than `create_run` put together."""
    plain = {"device": "cpu", **run.facts["setup"]}  # earlier runs knew no other
    if not {field.name for field in fields(RunSetup)} <= plain.keys():
        raise BadInput(
            f"The folder of {run.id} does not say all that it was made from.",
            advice="Only runs that `yearling train` started can be resumed and exported.",
        )
    return RunSetup(**plain | {name: tuple(plain[name]) for name in ("earlier", "environments")})


def build_method(run: RunFolder, stores: ArtefactStores) -> Method:
    """Load everything that run.json names, and make the method. Raises NotFound, Untrusted when it is not what it was."""
    from yearling.tasks import LessonSet

    setup, name = read_setup(run), run.facts["method"]
    if world_size() > 1 and name not in MULTI_PROCESS_METHODS:
        raise Unsupported(
            f"{name} trains in one process.", advice=f"Several processes can share {', '.join(MULTI_PROCESS_METHODS)}."
        )
    model = base_model(run, stores)
    config = config_class(name).from_dict(run.facts["config"])
    policy = build_policy(run, model, stores)
    if world_size() > 1:
        from yearling.training.policy.sharding import shard

        shard(policy)
    kind = method_class(name)
    lessons = LessonSet.open(stores.lessons_dir / setup.lessons) if setup.lessons else None
    tokenizer, template = Tokenizer.load(model), ChatTemplate.load(model)
    if name in _LESSON_KINDS:
        from yearling.training.data.encoding import LessonEncoder

        if lessons is None:
            raise Untrusted(f"run.json of {run.id} names no lessons.")
        encoder = LessonEncoder(tokenizer, template, model.sha256, config.max_tokens)
        earlier = [
            one for before in setup.earlier for one in _lessons_for_method(LessonSet.open(stores.lessons_dir / before), name)
        ]
        folder = run.folder / "references"
        folder.mkdir(exist_ok=True)
        made = kind(config, policy, _lessons_for_method(lessons, name), encoder, earlier=earlier, cache_folder=folder)
        if encoder.dropped_by_reason:
            run.log(f"Lessons left out: {json.dumps(encoder.dropped_by_reason, sort_keys=True)}.")
        return cast(Method, made)
    return _build_online_method(kind, config, policy, run, setup, lessons, tokenizer, template)


def base_model(run: RunFolder, stores: ArtefactStores) -> LocalModel:
    """The model that a run trains. Raises NotFound, and Untrusted when other weights stand under its name now."""
    described = run.facts["model"]
    model = stores.library.get(described["name"])
    if model.sha256 != described["sha256"]:
        raise Untrusted(
            f"The model {model.name} has the weights {model.sha256[:12]} now; the run trains {described['sha256'][:12]}.",
            advice="Import the weights that it began with again, or start a new run.",
        )
    return model


def build_policy(run: RunFolder, model: LocalModel, stores: ArtefactStores) -> Policy:
    """The policy as it was before the first step."""
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
    return Policy.lora(decoder, base_sha256=model.sha256, rank=setup.rank, alpha=alpha, seed=seed, device=device)


def _build_online_method(
    method_type: Any,
    config: Any,
    policy: Policy,
    run: RunFolder,
    setup: RunSetup,
    lessons: LessonSet | None,
    tokenizer: Tokenizer,
    template: ChatTemplate,
) -> Method:
    from yearling.tasks import open_environment
    from yearling.training.rollouts.collector import RolloutCollector
    from yearling.training.rollouts.curriculum import Curriculum
    from yearling.training.rollouts.runner import RolloutRunner, TemplatePromptCodec
    from yearling.training.rollouts.sampler import Sampler

    speech = TemplatePromptCodec(tokenizer, template)
    sampler = Sampler(policy.decoder, stop_ids=speech.stop_ids, frozen_base=policy.has_adapter)
    curriculum = Curriculum(_build_arms(setup, lessons), config.seed, (config.hard, config.easy))
    collector = RolloutCollector(config, RolloutRunner(sampler, speech, open_environment), curriculum, run)
    return cast(Method, method_type(config, policy, collector))


def _build_arms(setup: RunSetup, lessons: LessonSet | None) -> list[Arm]:
    from yearling.tasks import Task
    from yearling.training.rollouts.curriculum import environment_arm, prompt_arms

    arms = [environment_arm(_parse_environment(text), name=text) for text in setup.environments]
    prompts = lessons.prompts() if lessons else []
    tasks = [Task(one.key, one.messages, one.environment, dict(one.task)) for one in prompts]
    return [*arms, *prompt_arms(tasks)]


def _parse_environment(spec: str) -> Environment:
    """`NAME,setting=value,...`; a value is JSON where it can be read as such, else text."""
    from yearling.tasks import open_environment

    name, *given = spec.split(",")
    settings: dict[str, Any] = {}
    for one in given:
        key, equals, value = one.partition("=")
        if not equals:
            raise BadInput(
                f"{one!r} is no setting of an environment.", advice="Write NAME,setting=value,...", param="environment"
            )
        try:
            settings[key] = json.loads(value)
        except ValueError:
            settings[key] = value
    return open_environment(name, **settings)


def _lessons_for_method(lessons: LessonSet, method: str) -> list[Any]:
    found: list[Any] = getattr(lessons, _LESSON_KINDS[method])()
    return found


def _import_method(method: str) -> Any:
    if method not in METHODS:
        raise BadInput(f"There is no method {method!r}.", advice=f"Methods: {', '.join(METHODS)}.", param="method")
    try:
        return importlib.import_module(f"yearling.training.methods.{method}")
    except ImportError as error:
        if error.name != "torch":
            raise
        raise BadInput("Training needs torch, which is not installed.", advice="Install yearling[train].") from None
