"""Those who use a simulated cluster, and the record of what they asked and heard.

Read in this order::

    history.py   every operation: when it was called, when and how it ended
    caller.py    one who calls until an outcome is known, or gives up
    device.py    a shopper's device: one operation after another
    operator.py  the operator, who changes stock and prices
    watcher.py   a follower of the inventory's feed
    prober.py    whether every group takes writes, once all was healed
    crowd.py     all of them, from their first call to the last
"""
