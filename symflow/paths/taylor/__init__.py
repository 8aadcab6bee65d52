"""The Taylor integrator of gradient flow: steps, dense output, kinks."""
