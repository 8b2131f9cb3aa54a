"""A training curve and what it shows."""
