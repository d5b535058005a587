"""The admin line protocol, for telnet, nc and ``cartnet ctl``.

Read in this order::

    lines.py     a terminal's bytes -> lines, and text that is safe to show (pure)
    commands.py  what can be typed, and what each command does
    format.py    statuses and tables as lines for a person (pure)
    replies.py   a reply as it is sent, lines or JSON (pure)
    session.py   who may type what; one line in, one reply out
    protocol.py  the connection
    holder.py    who holds an admin port that could not be had
"""
