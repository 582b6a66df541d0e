"""How usable an image and its labels are, as numbers."""
