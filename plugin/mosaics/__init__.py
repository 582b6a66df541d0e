"""Mosaics of a dataset's images, with their labels, as new samples."""
