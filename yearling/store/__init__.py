"""Records at rest: database, blobs, audit log, backups."""
