"""One member of one group, alive: its sockets, its driver, its calls."""
