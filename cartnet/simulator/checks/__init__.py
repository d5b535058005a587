"""What must hold of a simulated cluster; checks are named after what they check.

Names begin with the numbers of the guarantees (S) and invariants that they are of.
Each stands outside the product and remembers the one true history.

Read in this order::

    consensus.py       R1 R2 R4 R8, S1: the replicas' Rafts, after each of their steps
    files.py           R3 R5 R7: their files, after each transaction
    votes.py           R7: what replicas say, against what their disks have
    requests.py        R12 S10: what replicas' calls ask of the log, and are told
    truth.py           what was committed, and the digests seen at each index
    directory_book.py  the directory's log, kept in books of our own
    inventory_book.py  the inventory's, likewise
    shard_book.py      a shard's, likewise
    replaying.py       R10: full replays of the logs through the product's machines
    tables.py          S1 S6 S7 S9, D I K O: their tables, against the books
    resources.py       what replicas hold once all is quiet
    operations.py      what customers were told, against the logs
    verdict.py         all that is looked at once all is quiet
"""
