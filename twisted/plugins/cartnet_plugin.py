"""The twistd plugin; cheap to import: twistd reads every plugin for its help."""

from __future__ import annotations

from twisted.application.service import ServiceMaker

cartnet = ServiceMaker(
    name="cartnet",
    module="cartnet.tap",
    description="A sharded, replicated shop: balancers, shards, inventory.",
    tapname="cartnet",
)
