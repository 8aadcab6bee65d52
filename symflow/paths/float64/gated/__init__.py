"""The event-corrected float64 flow (R31): kinks are located and walked in order of time, sliding gates are held."""
