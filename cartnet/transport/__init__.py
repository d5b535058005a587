"""Connections between processes of a cluster: lines over TCP, proven by a handshake.

::

    dialing.py  the dialling side, for peers and for clients

The listening side is :mod:`cartnet.replica.conversation`; the handshake itself is
:mod:`cartnet.wire.hello`.
"""
