"""Tokens learned for a class, how they are trained and calibrated."""
