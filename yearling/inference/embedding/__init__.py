"""Embeddings of texts for search: the protocol, the model of this machine in its own process, and a fake for tests."""
