"""What trajectories are compared by: observables, the deviation of descent from flow, and bounds on it."""
