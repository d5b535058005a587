"""Tests of cartnet.observability."""
