"""OpenAI-compatible endpoints: presets, tests, the models that they list, and where they are saved."""
