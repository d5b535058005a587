"""What each kind of group answers on its replica ports, on top of its log.

Names come from a :class:`~cartnet.replica.ports.Log`, answers go to a listener; who
leads, who is asked and how bytes travel are other packages' affair.
"""
