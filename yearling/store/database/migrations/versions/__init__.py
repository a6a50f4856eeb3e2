"""One file per migration, `m<number>_<what>.py`."""
