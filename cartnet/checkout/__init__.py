"""The checkout saga, and the coordinator that runs it on a shard's leader."""
