"""The one-shot tools of the console script ``cartnet``.

Read in this order::

    main.py       the command line
    ctl.py        one admin command
    databases.py  what every replica's file holds
    importing.py  a catalogue into the inventory, through a balancer
    catalogue.py  the CSV file, checked as a whole
    balancer.py   a blocking connection to a balancer
    failure.py    how a tool says that it cannot
"""
