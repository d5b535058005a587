"""The console: HTTP, WebSockets and pages for shoppers and the operator.

Read in this order::

    service.py    the console of one process, put together
    calls.py      every call that it answers, whoever asks by whichever protocol
    operators.py  who is the operator
    socket.py     WebSockets: the messages of the replica ports as text frames
    browser.py    what a browser sends along by itself: origin and cookie
    report.py     the cluster at one moment, as the operator's page gets it
    load.py       what this console has to do
"""
