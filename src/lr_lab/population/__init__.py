"""Many runs trained as one population: a step moves every member."""
