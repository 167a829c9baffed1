"""The web page at `/`: static files, and one more client of the public API."""
