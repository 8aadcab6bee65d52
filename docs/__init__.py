"""The documentation: pages written by hand, and in `generate` what makes the others."""
