"""What ``cartnet simulate --help`` says; apart, since the simulator loads slowly."""

from __future__ import annotations

from typing import Final

SIMULATE_DESCRIPTION: Final = """\
Run a whole cluster, production code all of it, on simulated time, network and disks,
while customers shop and faults of every kind strike; then heal all, and hold what is
there against every guarantee. The seed draws the cluster, its customers and its
faults: one seed is one history, on any machine, and its digest is the last line.
"""
SIMULATE_EPILOG: Final = """\
exit status: 0 all is well, 127 the product crashed, 128 something that must come to
pass did not, 129 a guarantee was broken
"""
