"""Lines and messages: what stands on the wire, and nothing that moves it.

Read in this order::

    framing.py    bytes <-> lines
    exact.py      JSON to the letter, its faults named
    requests.py   a line -> a request
    forms.py      the form of every value, and how to say what is right
    arguments.py  the arguments of every call
    replies.py    answers, errors, events
    hello.py      the handshake of two processes, sans I/O
    messages.py   Raft's messages
    shown.py      what strangers sent, fit for a message or a log line
"""
