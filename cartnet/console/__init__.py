"""The console: HTTP, WebSockets and pages for shoppers and the operator.

Read in this order::

    service.py    the console of one process, put together
    calls.py      every call that it answers, whoever asks by whichever protocol
    operators.py  who is the operator
    guarded.py    an operator's watch, which ends with the session
    socket.py     one WebSocket: the messages of the replica ports as text frames
    sockets.py    all of them: who may come in, and how they end
    site.py       what its port serves: HTTP and WebSockets, and how that ends
    channel.py    one HTTP connection: requests, bounds, headers on every answer
    answers.py    what every answer carries
    api.py        Klein's routes: the API's, the pages', the monitors'
    monitors.py   whether it lives, is ready, and how it fares
    routes.py     the table of the API's routes
    openapi.py    what describes them to programs, out of that table
    requests.py   an HTTP request -> a call
    errors.py     errors as HTTP has them
    pages.py      the pages and what belongs to them, in memory
    metrics.py    what Prometheus collects
    browser.py    what a browser sends along by itself: origin and cookie
    carts.py      live carts: a shard's, with names and prices
    observer.py   watches the cluster, and tells those who watch it here
    groups.py     what the replicas of a group say, put together
    timeline.py   what has happened to the cluster
    light.py      whether stock is conserved
    report.py     the cluster at one moment, as the operator's page gets it
    load.py       what this console has to do
"""
