"""Customers of a cluster, the record of what they asked and heard, and a verdict on it.

They shop through the product's own clients: in a simulated world or a real one.

Read in this order::

    share.py         what of a shop they use: all of it, or a corner
    history.py       every operation: when it was called, when and how it ended
    findings.py      what has been looked at, and how it can fail
    demand.py        how much is asked of a shop
    caller.py        one who calls until an outcome is known, or gives up
    device.py        a shopper's device: one operation after another
    operator.py      the operator, who changes stock and prices
    watcher.py       who watches the inventory's feed
    page.py          a page that shows a cart as it changes
    prober.py        whether every group takes writes, once all was healed
    crowd.py         all of them, from their first call to the last
    stale.py         reads that may be old
    orders.py        orders: their totals, and lists whole and newest first
    linearizable.py  Wing and Gong's search, as Lowe made it fast
    models.py        S5: carts, usernames and the inventory as histories show them
"""
