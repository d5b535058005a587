"""The checkout saga, and the coordinator that runs it on a shard's leader.

Read in this order::

    saga.py         one checkout: which step comes next, what it came to (pure)
    coordinator.py  brings every pending order of a shard to its end
    waiting.py      waits that end, pauses on the injected clock, and turns

The decision is one entry in the inventory's log; every step may be repeated by anybody
at any time.
"""
