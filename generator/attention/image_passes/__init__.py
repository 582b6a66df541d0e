"""How each family of rectified-flow transformers is given an image that it need not have painted, once."""
