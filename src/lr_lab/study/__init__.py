"""A question, its settings and claims, and the evidence of the runs for them."""
