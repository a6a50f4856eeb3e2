"""Model files: catalogue, library, formats, tokenizer, chat template, network."""

from yearling.models.chat_template import ChatTemplate
from yearling.models.tokenizer import StreamDecoder, Tokenizer

__all__ = ["ChatTemplate", "StreamDecoder", "Tokenizer"]
