"""Checkpoints: finding, fetching and checking them, and telling which are comparable."""
