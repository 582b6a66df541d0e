"""Class maps of images that the model did not paint: their latents are noised and looked at."""
