"""Textual inversion: a new word is learned from a few images, so that prompts can use it (Gal et al. 2022).

``settings`` says how, ``examples`` prepares the images, ``vocabulary`` gives the model the word, ``training`` learns
it, ``checkpoints`` lets a stopped run go on, and ``files`` holds the results. Knows arrays and pipelines, no datasets.
The word is loaded by recipes like any other (``tokens:``, ``models.adapters``). Tokens that find a class in images that
exist already are something else: ``generator.attention.class_tokens.token_training``.
"""
