"""Class maps of images that the model did not paint: their latents are noised and denoised by the model."""
