"""Reading and writing files: strict YAML, thumbnails. Knows no model and no dataset."""
