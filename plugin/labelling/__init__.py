"""Labels of images by a label source: planned, previewed, made and stored."""
