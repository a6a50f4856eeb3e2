"""Commands of releases: the audit, lineage, exported models."""
