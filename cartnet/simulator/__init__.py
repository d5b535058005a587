"""The cluster on simulated time, network and disk: one seed is one history.

Read in this order::

    world.py      hosts whose whole outside comes from one seed
    process.py    one life of a process: awake, asleep, gone
    clock.py      time that moves from event to event
    network.py    links, delays, cuts, and who listens
    endpoints.py  how a simulated host connects and listens
    transport.py  one end of a stream, as Twisted's protocols see it
    disk.py       real SQLite in memory, simulated durations, power cuts
    cluster.py    every replica of a configuration, each on a host of its own
    options.py    what one run is like, drawn from its seed
    faults/       what is done to it
    checks/       what must hold of it
    run.py        one run: faults for some time, then peace and a verdict

Its customers, and what they must not have seen, are :mod:`cartnet.workload`'s.
It hands the production classes their :class:`~cartnet.seams.Seams`; nothing in the
product imports it.
"""
