"""Lines and messages: what stands on the wire, and nothing that moves it."""
