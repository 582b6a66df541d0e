"""How concepts are processed beside an image, in one module per family of models."""
