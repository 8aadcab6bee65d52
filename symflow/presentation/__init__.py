"""What people read: LaTeX, plots, tables, reports and the command line."""
