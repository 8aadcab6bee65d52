"""The results R1, R2, ...: statements that are evaluated as they are printed, their hypotheses, their sources."""
