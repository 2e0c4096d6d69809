"""Looks at the machine and changes nothing; needs no privilege."""
