"""Captions as prompts: read from files, matched with classes, and multiplied by a language model."""
