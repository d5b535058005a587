"""The one-shot tools of the console script ``cartnet``.

Read in this order::

    main.py       the command line
    ctl.py        one admin command, over the admin port
    remote.py         the same, over a console's HTTP API
    reacting.py       a reactor that runs no longer than a tool
    web.py            one operator's session at a console
    databases.py  what every replica's file holds
    check.py      the guarantees, held against the files of a stopped cluster
    check_files.py    copies of the files, made while nobody writes
    check_logs.py     S1 to S3
    check_states.py   S4
    check_shop.py     S6 to S9
    check_report.py   a line a guarantee
    live/         check --live: customers of a running cluster
    check_help.py     what --help says, apart because the check loads slowly
    simulate.py   whole clusters in simulated worlds
    simulate_options.py   what can be asked of that, apart likewise
    importing.py  a catalogue into the inventory, through a balancer
    catalogue.py  the CSV file, checked as a whole
    balancer.py   a blocking connection to a balancer
    option_types.py   numbers on the command line
    files.py      where the replicas' files are
    failure.py    how a tool says that it cannot
"""
