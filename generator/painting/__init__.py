"""Jobs become images with class maps: text to image, img2img and inpainting."""
