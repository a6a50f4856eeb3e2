"""Records at rest: database, blobs, audit log, backups."""

from yearling.store.audit import ChainState
from yearling.store.store import Store
from yearling.store.writer import SampleWriter

__all__ = ["ChainState", "SampleWriter", "Store"]
