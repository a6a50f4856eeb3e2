"""HTTP plumbing, independent of routes: bodies, errors, event streams, the OpenAPI document, logs and metrics."""
