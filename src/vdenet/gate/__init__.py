"""The gate in front of a VDE switch: a program of its own that decides who may plug in, and as whom."""
