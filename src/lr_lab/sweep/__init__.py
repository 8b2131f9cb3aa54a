"""Many runs: what is missing of them, who trains them, and how they end."""
