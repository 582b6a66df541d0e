"""Recipes: what a dataset should hold, read from YAML, JSON and DiffuGen configs, and checked."""
