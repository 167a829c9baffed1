"""Load: how many users an arm serves within its service-level objectives."""
