"""Raft, after Ongaro's dissertation: pure, told everything, asked for what to do.

Read in this order::

    messages.py    what replicas say to each other and what they keep
    raft.py        tick, step, propose, read, ready, advance; the term rule
    voting.py      who gets a vote or a pre-vote: the same in every role
    follower.py    waits for a leader
    candidate.py   asks whether it could win (pre-vote), then asks for votes
    leader.py      replicates, commits, confirms reads
    progress.py    what a leader knows of one follower, and the window
    digests.py     equal logs make equal tables: who is in the minority
    reads.py       read-index: linearizable reads without a log entry
    preference.py  the lexically smallest address leads: delays and hand-overs
    log.py         terms of all entries, the newest entries themselves
    quorum.py      majorities
    timing.py      every duration, in ticks

Nothing here knows a clock, a socket, a disk or a thread: time is a number of ticks,
and what must be written or sent is handed out.
"""
