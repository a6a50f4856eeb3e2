"""Model files: catalogue, library, file formats, tokenizer, chat template, network, adapters."""

from yearling.files.progress import Progress
from yearling.models.adapter import Adapter, adapter_fit
from yearling.models.adapter_library import AdapterLibrary, AdapterPurpose, PublishedAdapter
from yearling.models.catalogue import CatalogueEntry, about_memory_bytes, known_models, model_title
from yearling.models.chat_template import ChatTemplate
from yearling.models.embeddings.embedding_model import EmbeddingModel
from yearling.models.embeddings.unigram_tokenizer import UnigramTokenizer
from yearling.models.export_attestations import (
    ExportDescription,
    ExportedBase,
    ExportedExamResult,
    VerifiedExport,
    attest_export,
    key_fingerprint,
    load_or_create_export_key,
    public_export_key,
    require_attestation_packages,
    verify_export,
)
from yearling.models.fetch import fetch_file
from yearling.models.local_model import Layout, LocalModel
from yearling.models.merging import install_decoder, merge_into_library
from yearling.models.model_library import ModelLibrary, TermsNotAccepted
from yearling.models.tokenizer import StreamDecoder, Tokenizer
from yearling.models.torch_facade import (
    Cache,
    CacheRows,
    Decoder,
    adapter_disabled,
    attach_adapter,
    detach_adapter,
    export_decoder,
    export_gguf,
    load_adapter,
    load_decoder,
    merge_adapter,
    new_adapter,
    pack_sequences,
    save_adapter,
)

__all__ = [
    "Adapter",
    "AdapterLibrary",
    "AdapterPurpose",
    "Cache",
    "CacheRows",
    "CatalogueEntry",
    "ChatTemplate",
    "Decoder",
    "EmbeddingModel",
    "ExportDescription",
    "ExportedBase",
    "ExportedExamResult",
    "Layout",
    "LocalModel",
    "ModelLibrary",
    "Progress",
    "PublishedAdapter",
    "StreamDecoder",
    "TermsNotAccepted",
    "Tokenizer",
    "UnigramTokenizer",
    "VerifiedExport",
    "about_memory_bytes",
    "adapter_disabled",
    "adapter_fit",
    "attach_adapter",
    "attest_export",
    "detach_adapter",
    "export_decoder",
    "export_gguf",
    "fetch_file",
    "install_decoder",
    "key_fingerprint",
    "known_models",
    "load_adapter",
    "load_decoder",
    "load_or_create_export_key",
    "merge_adapter",
    "merge_into_library",
    "model_title",
    "new_adapter",
    "pack_sequences",
    "public_export_key",
    "require_attestation_packages",
    "save_adapter",
    "verify_export",
]
