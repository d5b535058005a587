"""A storm: clients shop while replicas are killed, hung, cut off, wiped and moved.

Run it for as long as you like, with everything in one process or a process a replica::

    python -m tests.system.storm --seconds 600
    python -m tests.system.storm --seconds 600 --each --seed 7

Read in this order::

    __main__.py   the command line
    storm.py      one storm, from an empty folder to what was found
    faults.py     what is done to each group's replicas, and when
    hands.py      how it is done: by signals and the admin line
    outages.py    what the script has done so far: when was a group's majority away?
    clients.py    who shops, registers and restocks meanwhile
    yardstick.py  how much time the machine gave
    attempts.py   every call as its client saw it
    verdict.py    which of them no outage excuses
    report.py     all of it for a person
"""
