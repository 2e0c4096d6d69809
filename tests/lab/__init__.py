"""The test library: Debian roots, throw-away machines, and what plays their outside."""
