"""One member of one group, alive: its sockets, its driver, its calls.

Read in this order::

    ports.py         the seams: what calls see of a replica, what it asks of them
    membership.py    which replica of which group one is
    replica.py       everything put together; its life from claim to end
    recovery.py      what is made once its file has been read
    driver.py        the loop around Raft: inbox, Ready, storage, replies
    pending.py       proposals and reads that wait for the log
    office.py        the leader's office: who has it, and handing it over
    log_time.py      the time that a leader stamps its commands with
    snapshots.py     snapshots on their way, sent and taken
    meeting.py       whom it meets and lets in, and what Raft hears of them
    formation.py     whose files count: a group forms, a lost file is noticed
    scrubber.py      damage to its file is looked for
    report.py        what it reports, when asked and to its log
    listener.py      the port: who may connect, how many
    conversation.py  one connection: a peer's, a process's or a client's
    refusals.py      who was turned away, logged once
    serving.py       a client's requests: in hand, answered, watched
    gate.py          paused or isolated: what gets through
    gated.py         endpoints behind the gate
    peers.py         this replica's own connections to the other members
    status.py        what is known of one replica at one moment
"""
