"""Segmenters trained on a dataset's curated labels, and what they say about the images still to be made."""
