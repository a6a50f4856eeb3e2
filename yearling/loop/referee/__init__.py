"""The audit: what must be in the log, the export for an outside referee, and the recomputation from it."""
