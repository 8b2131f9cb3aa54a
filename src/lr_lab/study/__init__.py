"""A question, its settings and claims, and what the runs say of them."""
