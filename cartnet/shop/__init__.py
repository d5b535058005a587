"""The shop as replicated state machines: deterministic SQL over a cursor.

``machine`` is what they have in common, ``commands`` what goes in, ``answers`` what
comes out. ``directory`` (which shard a username lives on), ``shard`` (``accounts``,
``keys``, ``carts``, ``orders``) and ``inventory`` are the three machines.
"""
