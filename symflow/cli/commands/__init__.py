"""One file a command: its computation, its JSON, what it shows."""
