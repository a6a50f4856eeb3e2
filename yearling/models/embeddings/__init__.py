"""Embedding models: the file that they are published in, their tokenizer, and their weights as GGUF."""
