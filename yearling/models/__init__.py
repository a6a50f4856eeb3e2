"""Model files: catalogue, library, formats, tokenizer, chat template, network."""
