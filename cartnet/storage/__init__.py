"""One SQLite file a replica: its log, its hard state and the state it has applied.

Read in this order: :mod:`~cartnet.storage.journal` (the log, pure over a cursor),
:mod:`~cartnet.storage.transaction` (what one commit holds),
:mod:`~cartnet.storage.owner` (whose file it is), :mod:`~cartnet.storage.lock`,
:mod:`~cartnet.storage.database` (threads and connections) and
:mod:`~cartnet.storage.storage`, which is what a replica holds in its hand.
"""
