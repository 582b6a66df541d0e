"""Captions that a language model writes, each class still named in them."""
