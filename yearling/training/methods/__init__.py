"""Training methods: each module holds one method, its settings and its complete step."""
