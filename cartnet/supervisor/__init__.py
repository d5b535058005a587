"""Starts, kills and lists replicas: of this process, of child processes, of others.

- :mod:`~cartnet.supervisor.hosting`: what a supervisor offers and what it hosts.
- :mod:`~cartnet.supervisor.in_process`: replicas that share this process's reactor.
- :mod:`~cartnet.supervisor.child_processes`: an operating-system process a replica.
- :mod:`~cartnet.supervisor.child`, :mod:`~cartnet.supervisor.lifeline`: such a child,
  and how it learns that its parent is gone.
- :mod:`~cartnet.supervisor.cluster`: every replica, whichever process runs it.
"""
