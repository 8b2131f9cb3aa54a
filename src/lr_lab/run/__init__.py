"""One run: its configuration, its parts, its training, and what it leaves in its folder."""
