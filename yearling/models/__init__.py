"""Model files: catalogue, library, formats, tokenizer, chat template, network."""

from yearling.models.catalogue import CatalogueEntry, catalogue
from yearling.models.chat_template import ChatTemplate
from yearling.models.disk import Progress
from yearling.models.library import Library
from yearling.models.loading import load_decoder
from yearling.models.local import Layout, LocalModel
from yearling.models.tokenizer import StreamDecoder, Tokenizer

__all__ = [
    "CatalogueEntry",
    "ChatTemplate",
    "Layout",
    "Library",
    "LocalModel",
    "Progress",
    "StreamDecoder",
    "Tokenizer",
    "catalogue",
    "load_decoder",
]
