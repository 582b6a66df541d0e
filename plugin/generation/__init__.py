"""Every verb that paints images into a dataset: generate, img2img, inpaint, regenerate, repaint."""
