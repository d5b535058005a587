"""How anything reaches a group: connections, the leader, retries, feeds.

Read in this order::

    group.py    :class:`GroupClient`, what everybody else uses
    outcome.py  what the refusals of one call add up to (pure)
    members.py  the group's members: links, the search for the leader
    belief.py   who leads, as far as the members' words go (pure)
    link.py     one proven connection to one member, shared by all calls
    dial.py     how such a connection is made
    watch.py    a feed that survives its sources
"""
