"""Adapters that find objects by a diffusion model's features, trained on a dataset's labels."""
