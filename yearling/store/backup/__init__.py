"""Backups: snapshots, archives, restore and verification."""
