"""Queries and keys of a model's attention layers during a pass, and their sums."""
