"""One SQLite file a replica: its log, its hard state and the state it has applied.

Read in this order::

    journal.py      the log and the hard state as tables (pure over a cursor)
    digest.py       a digest of the tables, kept row by row
    schema.py       the tables' definitions, kept beside them
    snapshot.py     the tables as rows: copied out, put in place
    transaction.py  what one commit holds
    owner.py        whose file it is
    lock.py         one process a file
    claims.py       before the reactor runs: may this replica have this file?
    database.py     threads and connections, over adbapi
    storage.py      what a replica holds in its hand
"""
