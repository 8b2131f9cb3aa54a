"""A sweep trained as one stack of parameters."""
