"""Programs over numbers that are repeated, such as steps of descent, executed by the compiled kernel."""
