"""The console: HTTP, WebSockets and pages for shoppers and the operator.

Read in this order::

    report.py  the cluster at one moment, as the operator's page gets it
    load.py    what this console has to do
"""
