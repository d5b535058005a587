"""One member of one group, alive: its sockets, its driver, its calls.

Read in this order::

    ports.py         the seams: what calls see of a replica, what it asks of them
    replica.py       everything put together; its life from claim to end
    driver.py        the loop around Raft: inbox, Ready, storage, replies
    pending.py       proposals and reads that wait for the log
    log_time.py      the time that a leader stamps its commands with
    snapshots.py     snapshots on their way, sent and taken
    formation.py     whose files count: a group forms, a lost file is noticed
    listener.py      the port: who may connect, how many
    conversation.py  one connection: a peer's, a process's or a client's
    serving.py       a client's requests: in hand, answered, watched
    gate.py          paused or isolated: what gets through
    gated.py         endpoints behind the gate
    peers.py         this replica's own connections to the other members
    status.py        what is known of one replica at one moment
"""
