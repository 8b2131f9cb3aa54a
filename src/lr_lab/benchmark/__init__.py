"""How fast this is here, as ratios within one call."""
