"""What runs mean: pure functions on histories and results, without Lightning, Hydra or torch."""
