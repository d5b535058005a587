"""What ``cartnet check --help`` says of ``--live``; apart, since that loads slowly."""

from __future__ import annotations

from typing import Final

LIVE_DESCRIPTION: Final = """\

--live holds a running cluster against them instead: customers shop through its
balancers for some seconds, in a corner of their own (accounts and items whose names
begin with check-; the items are removed in the end, the accounts stay), and what they
were told must be what some order of their operations explains. It needs the
operator's password, and disturbs nobody; with --chaos it also kills, pauses, isolates
and deposes replicas, one at a time, and brings each of them back. An outage is no
violation, but all must have their answers within a minute of the end.

  cartnet check --live
  cartnet check --live --seconds 60 --chaos --report report.html
"""
