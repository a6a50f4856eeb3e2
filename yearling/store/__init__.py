"""Records at rest: database, blobs, audit log, backups."""

from yearling.store.archive import Manifest
from yearling.store.audit import ChainState
from yearling.store.restoring import Restored, restore, verify_backup
from yearling.store.store import Store
from yearling.store.summary import inspect
from yearling.store.verify import Check, Report
from yearling.store.writer import SampleWriter

__all__ = [
    "ChainState",
    "Check",
    "Manifest",
    "Report",
    "Restored",
    "SampleWriter",
    "Store",
    "inspect",
    "restore",
    "verify_backup",
]
