"""The admin line protocol, for telnet, nc and ``cartnet ctl``.

- :mod:`~cartnet.admin.lines`: bytes of a terminal -> lines, and text that is safe to
  show (pure).
- :mod:`~cartnet.admin.commands`: what can be typed, and what each does.
- :mod:`~cartnet.admin.format`: replies as text (pure).
- :mod:`~cartnet.admin.session`: who may type what; one line in, one reply out.
- :mod:`~cartnet.admin.protocol`: the connection.
"""
