"""The product broken on purpose, a tiny thing at a time: each must be caught.

A checker that no mutant trips is no checker. Mutants live in tests alone, for as long
as a context lasts; the product has no switch for them. Read in this order::

    mutant.py       one thing broken: its name, what is broken, and how
    consensus.py    the replicated log: votes, quorums, commits, snapshots, reads
    storage.py      the disk: what is synced, kept, checked, and found again
    shop.py         the state machines: keys, carts, orders, stock, homes
    service.py      what stands around them: calls, coordinators, clients, feeds
    search.py       seeds, one after the other, until a mutant is caught
    __main__.py     the table of all of them: python -m tests.simulator.mutants
"""
