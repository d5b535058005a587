"""The cluster on simulated time, network and disk: one seed is one history."""
