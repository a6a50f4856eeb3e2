"""An installed embedding model: what its folder holds, and how a published file becomes that folder.

network.gguf           the layers, for llama.cpp
token_embedding.gguf   the vector of each token
vocabulary.json        pieces, scores and normalisation map of the tokenizer
embedding.json         ids of the control tokens, widths, and the prefixes of texts
"""

from __future__ import annotations

import json
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from yearling.errors import Untrusted, malformed_as_untrusted
from yearling.files.progress import Progress, ignore_progress
from yearling.files.reading import hash_file
from yearling.models.embeddings.e5_file import E5File
from yearling.models.embeddings.e5_gguf import TOKEN_EMBEDDING, write_e5_gguf
from yearling.models.embeddings.unigram_tokenizer import UnigramTokenizer, read_tokenizer, write_vocabulary
from yearling.models.gguf import GGUFFile, read_gguf
from yearling.models.hf_folder import read_json_object
from yearling.models.local_model import EMBEDDING_NETWORK_FILENAME, LocalModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_TOKEN_EMBEDDING_FILENAME = "token_embedding.gguf"
_VOCABULARY_FILENAME = "vocabulary.json"
_FACTS_FILENAME = "embedding.json"
_MASK = "<mask>"


@dataclass(frozen=True, slots=True, kw_only=True)
class _EmbeddingFacts:
    """What the engine must know besides weights and vocabulary."""

    dimensions: int
    max_tokens: int
    bos: int
    eos: int
    unk: int
    controls: tuple[int, ...]
    """Ids that text never becomes."""


class EmbeddingModel:
    """The files of one installed model. Reading them may block. Thread-safe."""

    def __init__(self, model: LocalModel) -> None:
        """Raises Untrusted if what describes the model is damaged."""
        self.folder = model.folder
        self.model_hash = model.source_sha256
        """SHA-256 of the published file: vectors stay comparable however the file is laid out here."""
        self.network = model.weights
        self._files = dict(model.files)
        self._facts = _read_facts(model.folder / _FACTS_FILENAME)
        self._token_embedding: GGUFFile | None = None
        self._lock = threading.Lock()

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return self._facts.dimensions

    @property
    def max_tokens(self) -> int:
        """Most tokens of a text, control tokens included."""
        return self._facts.max_tokens

    def verify(self) -> None:
        """Hash every file. Raises Untrusted, which names a file that was changed since it was installed."""
        for name, expected in self._files.items():
            path = self.folder / name
            if not path.is_file() or hash_file(path) != expected:
                raise Untrusted(
                    f"{path} was changed after it was installed.",
                    advice=f"Run `yearling model remove {self.folder.name}`, then pull it again.",
                )

    def check_fit(self, *, width: int, max_tokens: int) -> None:
        """Raises Untrusted if a network of this width and length does not fit what the folder says about it."""
        if (width, max_tokens) != (self.dimensions, self.max_tokens):
            raise Untrusted(f"The files in {self.folder} do not fit each other.", advice="Remove the model and pull it again.")

    def read_tokenizer(self) -> UnigramTokenizer:
        """The tokenizer, which takes about 50 MiB."""
        facts = self._facts
        return read_tokenizer(
            self.folder / _VOCABULARY_FILENAME,
            bos=facts.bos,
            eos=facts.eos,
            unk=facts.unk,
            controls=facts.controls,
            max_tokens=facts.max_tokens,
        )

    def token_vectors(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """The vectors (T, D) of T token ids. Raises Untrusted for an id that has none."""
        import numpy as np
        from gguf import GGMLQuantizationType
        from gguf.quants import dequantize

        with self._lock:
            if self._token_embedding is None:
                self._token_embedding = read_gguf(self.folder / _TOKEN_EMBEDDING_FILENAME)
        info = self._token_embedding.tensors.get(TOKEN_EMBEDDING)
        if (
            info is None
            or len(info.shape) != 2
            or info.shape[1] != self.dimensions
            or not 0 <= min(ids) <= max(ids) < info.shape[0]
        ):
            raise Untrusted(f"The token embedding in {self.folder} does not fit its vocabulary.", advice="Pull the model again.")
        rows = self._token_embedding.raw_bytes(TOKEN_EMBEDDING).reshape(info.shape[0], -1)[np.asarray(ids)]
        values: NDArray[np.float32] = dequantize(rows, GGMLQuantizationType(info.ggml_type))
        return values


def build_embedding_folder(file: E5File, folder: Path, progress: Progress = ignore_progress) -> Path:
    """Fill the empty `folder` from a published file; returns the file of the network."""
    config = file.config
    write_e5_gguf(file, folder / EMBEDDING_NETWORK_FILENAME, folder / _TOKEN_EMBEDDING_FILENAME, progress)
    write_vocabulary(folder / _VOCABULARY_FILENAME, file.pieces, file.scores, file.normalisation)
    mask = [file.pieces.index(_MASK)] if _MASK in file.pieces else []
    facts = _EmbeddingFacts(
        dimensions=config.width,
        max_tokens=config.max_tokens,
        bos=config.bos,
        eos=config.eos,
        unk=config.unk,
        controls=(config.bos, config.eos, config.pad, config.unk, *mask),
    )
    (folder / _FACTS_FILENAME).write_text(json.dumps(asdict(facts), indent=2) + "\n", encoding="utf-8")
    return folder / EMBEDDING_NETWORK_FILENAME


@malformed_as_untrusted("The description of the embedding model")
def _read_facts(path: Path) -> _EmbeddingFacts:
    if not path.is_file():
        raise Untrusted(f"{path} is missing.", advice=f"Run `yearling model remove {path.parent.name}`, then pull it again.")
    fields = read_json_object(path)
    return _EmbeddingFacts(
        **{name: int(fields[name]) for name in ("dimensions", "max_tokens", "bos", "eos", "unk")},
        controls=tuple(int(token_id) for token_id in fields["controls"]),
    )
