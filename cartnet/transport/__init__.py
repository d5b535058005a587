"""Connections between processes of a cluster: lines over TCP, proven by a handshake.

::

    dialing.py    the dialling side, for peers and for clients
    listening.py  the ports of the admin line and of the console

The listening side is :mod:`cartnet.replica.conversation`; the handshake itself is
:mod:`cartnet.wire.hello`.
"""
