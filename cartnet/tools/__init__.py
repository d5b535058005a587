"""The one-shot tools of the console script ``cartnet``.

- :mod:`~cartnet.tools.main`: the command line.
- :mod:`~cartnet.tools.ctl`: one admin command.
- :mod:`~cartnet.tools.databases`: what every replica's file holds.
- :mod:`~cartnet.tools.catalogue`, :mod:`~cartnet.tools.balancer`,
  :mod:`~cartnet.tools.importing`: a CSV file into the inventory.
"""
