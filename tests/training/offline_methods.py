"""SFT, DPO, KTO and the reward model on random lessons and a random two-layer network in float64."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from tests.training.letter_codec import LetterPrompts, LetterTokenizer
from tests.training.networks import tiny_policy
from yearling.tasks import Demonstration, PreferencePair, Thumb
from yearling.training.data.encoding import LessonEncoder
from yearling.training.methods.dpo import Dpo, DpoConfig
from yearling.training.methods.kto import Kto, KtoConfig
from yearling.training.methods.offline import OfflineConfig
from yearling.training.methods.reward import Reward, RewardConfig
from yearling.training.methods.sft import Sft, SftConfig
from yearling.training.setup import method_class

OFFLINE_METHODS = ("sft", "dpo", "kto", "reward")
OFFLINE_CONFIGS: dict[str, type[OfflineConfig]] = {
    "sft": SftConfig,
    "dpo": DpoConfig,
    "kto": KtoConfig,
    "reward": RewardConfig,
}

AnyOfflineMethod = Sft | Dpo | Kto | Reward


def random_lessons(method: str, count: int, seed: int = 0) -> list[Any]:
    """`count` lessons of the kind that the method learns from, with weights 1 to 3."""
    rng = random.Random(seed)

    def text() -> str:
        return "".join(rng.choices("abcdefghijklm", k=rng.randint(1, 9)))

    lessons: list[Demonstration | Thumb | PreferencePair] = []
    for index in range(count):
        messages, key, weight = ({"role": "user", "content": text()},), f"{seed} {index}", 1.0 + index % 3
        if method == "sft":
            lessons.append(Demonstration(key, messages, text(), weight=weight))
        elif method == "kto":
            lessons.append(Thumb(key, messages, text(), up=index % 3 > 0, weight=weight))
        else:
            lessons.append(PreferencePair(key, messages, f"n{text()}", f"o{text()}", q=rng.random(), weight=weight))
    return lessons


def letter_encoder(max_tokens: int, *, model_hash: str = "none", omits_end: bool = False) -> LessonEncoder:
    """A lesson encoder over letters."""
    return LessonEncoder(LetterTokenizer(), LetterPrompts(omits_end=omits_end), model_hash, max_tokens)


def make_method(
    name: str,
    *,
    trained: bool = True,
    full: bool = False,
    cache_folder: Path | None = None,
    count: int = 12,
    num_earlier: int = 0,
    learning_rate: float = 1e-3,
    device: str = "cpu",
    **settings: Any,
) -> AnyOfflineMethod:
    """A method on `count` random lessons and `num_earlier` earlier ones. With `trained` its policy already differs from the
    base."""
    config = OFFLINE_CONFIGS[name](lessons_per_step=6, learning_rate=learning_rate, passes=4.0, **settings)
    method: AnyOfflineMethod = method_class(name)(
        config,
        tiny_policy(trained=trained, full=full, device=device),
        random_lessons(name, count),
        letter_encoder(config.max_tokens),
        earlier=random_lessons(name, num_earlier, 9),
        cache_folder=cache_folder,
    )
    return method


def make_dpo(**options: Any) -> Dpo:
    """`make_method` for DPO."""
    method = make_method("dpo", **options)
    assert isinstance(method, Dpo)
    return method
