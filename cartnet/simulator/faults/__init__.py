"""What is done to a simulated cluster, and undone.

Read in this order::

    nemesis.py    draws the next fault, or relief, and ends everything
    victims.py    whom it may strike without losing a majority of disks
    hooks.py      what was added at disks and hosts, to be taken off again
    processes.py  crashes, at chosen points too; hangs
    failpoints.py named moments at which a process dies
    links.py      cuts, resets, delays, and connections that die at one end
    frames.py     lines altered, cut short, or too long
    replays.py    old messages that arrive once more
    disks.py      slow, stalled, full, failing, wiped, old and damaged ones
    clocks.py     wall clocks that jump
"""
