"""A package, so that its conftest and modules are not taken for those of another directory."""
