"""Trajectories of gradient flow and gradient descent: the Taylor integrator, kinks and descent."""
