"""Jobs: what takes long, one at a time on a machine, in a process of its own."""
