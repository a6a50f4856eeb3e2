"""HTTP plumbing that knows no routes: bodies, errors, event streams, the OpenAPI document, logs and metrics."""
