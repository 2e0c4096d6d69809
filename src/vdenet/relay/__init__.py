"""The relay between a guest's UDP tunnel and its tap: a program of its own, without any rights but those two."""
