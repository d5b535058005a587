"""The shop as replicated state machines: deterministic SQL over a cursor.

Read in this order::

    machine.py    what the three machines have in common
    commands.py   what goes in, as it stands in a log entry
    answers.py    what comes out
    group.py      every machine's: the group's id and the log's time
    directory.py  the balancers' machine: which shard a username lives on
    users.py      accounts, sessions and keys, which end with log time
    accounts.py   accounts and sessions
    keys.py       answers once per idempotency key
    shard.py      a shard's machine, over the next two
    carts.py      items and quantities, frozen while a checkout is undecided
    orders.py     begun, then placed or forgotten
    inventory.py  the inventory's machine, over the next two
    catalogue.py  items, stock and revisions
    takings.py    the decision of a checkout: all lines or none
    books.py      whether stock is conserved

No clock, no randomness, no float; every query whose order matters is ordered. What
depends on state is decided here and returned, never raised, before the first write.
"""
