"""Tests of cartnet.topology."""
