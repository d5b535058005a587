"""A sharded, replicated shop backend in one twistd plugin."""

__version__ = "0.1.0"
