"""The attention of a diffusion model while it paints, as one map per class."""
