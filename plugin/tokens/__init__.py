"""Words and class tokens that are learned from the images of a dataset."""
