"""Networks, losses, and the objectives they define."""
