"""A storm: clients shop while replicas, their network and their disks are in trouble.

Run it for as long as you like, with everything in one process, with a process a replica
and a proxy between all of them, or with a network namespace for each::

    python -m tests.system.storm --seconds 600
    python -m tests.system.storm --seconds 600 --each --seed 7
    python -m tests.system.storm --seconds 600 --namespaces

Read in this order::

    __main__.py   the command line
    storm.py      one storm, from an empty folder to what was found
    faults.py     what is done to each group's replicas, and when
    hands.py      how it is done: by signals, the admin line and what follows
    disks.py      disks that are full; files that are damaged, deleted, old copies
    links.py      messages that do not pass, one way or both, come late, damaged, twice
    network.py    what a network has to let be done to it
    proxy.py      a network of connections through a proxy that knows messages
    pipe.py       one of its connections, message by message
    detour.py     how a replica's process comes to dial by way of the proxy
    namespaces.py a network of the kernel's own, which loses packets
    outages.py    what the script has done so far: when was a group's majority away?
    clients.py    who shops, registers and restocks meanwhile
    judge.py      `cartnet check --live`, whose customers' histories are judged
    yardstick.py  how much time the machine gave
    attempts.py   every call as its client saw it
    verdict.py    which of them no outage excuses
    report.py     all of it for a person
"""
