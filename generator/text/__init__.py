"""What words say: the classes a text mentions, how many objects it counts, templates. Knows no model."""
