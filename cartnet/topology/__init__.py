"""Who is in the cluster, where, and how it is configured. Pure: no socket, no clock."""
