"""Measures of image sets, and pages and plots that show them. Knows arrays and text, not FiftyOne."""
