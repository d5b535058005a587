"""Starts, kills and lists replicas: of this process, of child processes, of others.

Read in this order::

    hosting.py          what a supervisor offers, and what it hosts
    in_process.py       replicas that share this process's reactor
    child_processes.py  an operating-system process a replica
    child.py            such a process
    lifeline.py         how a child learns that its parent is gone
    cluster.py          every replica, whichever process runs it
"""
