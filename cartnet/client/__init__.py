"""How anything reaches a group: connections, the leader, retries, feeds.

* :mod:`~cartnet.client.group` -- :class:`GroupClient`, what everybody else uses
* :mod:`~cartnet.client.link` -- one proven connection to one member
* :mod:`~cartnet.client.dial` -- how such a connection is made
* :mod:`~cartnet.client.belief` -- who leads, as far as the members' words go (pure)
* :mod:`~cartnet.client.outcome` -- what a call's refusals add up to (pure)
* :mod:`~cartnet.client.watch` -- a feed that survives its sources
"""
