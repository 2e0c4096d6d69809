"""Pure data: names, the segment that is wanted, what is observed, and the plan between the two."""
