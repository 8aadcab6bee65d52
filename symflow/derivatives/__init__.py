"""What is derived from an objective: gradient, Hessian in its forms, gradient flow."""
