"""Where the solutions from a whole box of starts are at any time, proved in balls."""
