"""Labelled images painted anew with their labels kept (DA-Fusion, for boxes and masks too)."""
