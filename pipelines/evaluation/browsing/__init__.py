"""Reads a folder of runs for people who look at them, also while a run is being written; changes nothing."""
