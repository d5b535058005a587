"""Connections between processes of a cluster: lines over TCP, proven by a handshake."""
