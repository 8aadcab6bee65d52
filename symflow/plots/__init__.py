"""Pictures of paths, deviations and experiments."""
