"""Asking every arm every question, from frozen contexts, into a bundle; goes on after a kill."""
