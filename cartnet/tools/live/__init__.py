"""``cartnet check --live``: customers of a running cluster, and a verdict on it.

The customers are :mod:`cartnet.workload`'s, who shop in a corner of their own: with
accounts, and with items that are removed in the end.

Read in this order::

    options.py       what can be asked for
    command.py       from the command line to the exit status
    seen.py          all that a run has seen
    findings.py      every broken check is kept
    output.py        a file is whole, or as it was
    run.py           one run, from the first login to the last look
    place.py         where customers are
    observer.py      who leads, as every replica says itself
    chaos.py         faults through the admin line
    ending.py        what must come to pass in the end, and cleaning up
    judge.py         the verdict: a line a guarantee
    ledger.py        what the last look must show
    figures.py       counts and latencies
    outages.py       for how long each group answered nobody
    history_file.py  the recorded history
    page.py          the report for a browser
    style.py         how that looks
    timeline.py      its picture: who did what, when
"""
