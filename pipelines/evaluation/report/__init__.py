"""A bundle as something to read: one HTML file without a network, Markdown, and JSON."""
