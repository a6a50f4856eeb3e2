"""Files on disks that fill up, fail or lose power: atomic writes, durability, locks and disk errors. Needs no other room."""
