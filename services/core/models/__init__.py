"""Model files: the catalogue, where they come from, and the verified cache they live in."""
