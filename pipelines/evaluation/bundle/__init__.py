"""A run's record on disk: written as it goes, read to score again, to report and to gate."""
