"""A head on a frozen diffusion model's features that finds objects: boxes, classes and masks (DiffusionEngine)."""
