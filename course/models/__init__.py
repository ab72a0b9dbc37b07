"""The models that the lessons build, as ordinary modules."""
