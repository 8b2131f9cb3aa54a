"""Many runs: which are missing, which launcher trains them, and how they end."""
