"""A package, so that this directory's conftest is not taken for another's."""
