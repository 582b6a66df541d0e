"""Labelled images as dataset folders that other tools read. Knows files and arrays, not FiftyOne."""
