"""Who is in the cluster, where, and how it is configured. Pure: no socket, no clock.

Read in this order::

    address.py        host:port, and the lexical order that decides who should lead
    groups.py         groups, members, the topology
    settings.py       an ini file's sections, with errors that say what to do
    configuration.py  cartnet.ini -> Configuration
    effective.py      and back
    listening.py      Twisted's server endpoint strings
    wanted.py         what a command line asks for
    placement.py      that, held against the configuration: what one process runs
    original.py       the original's style: one replica by its port and peers
"""
