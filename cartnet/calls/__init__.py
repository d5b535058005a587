"""What each kind of group answers on its replica ports, on top of its log.

Read in this order::

    answering.py       what all kinds have in common: dispatch, deadlines, sessions
    founding.py        what a new group's leader sees to: the group's id, and more
    shard.py           a shard: accounts, sessions, carts, orders
    cart_feed.py       each session's cart as it changes, from any replica
    logins.py          login, logout, whoami
    passwords.py       argon2id off the reactor, few at once
    throttle.py        delays for those who try too often
    inventory.py       the inventory: items, takes, the operator's calls
    operator.py        the operator's account and its first password
    password_file.py   where that is kept until it is told
    rounds.py          who watches a feed, and when it looks for news for them
    feed.py            what changed since a revision, from any replica
    directory.py       a balancer: homes out of its log, the shop out of its router
    router.py          the whole shop API, each call to the group that decides it
    shared_read.py     one read of the inventory for all who ask at once
    homes.py           which shard a username lives on
    catalogue.py       a balancer's copy of the inventory
    catalogue_feed.py  watch_inventory out of that copy
    pricing.py         a cart with the names and prices of that copy

Commands go to a :class:`~cartnet.replica.ports.Log`, answers to a listener. Who leads,
who is asked and how bytes travel are other packages' affair.
"""
