"""Training a segmenter on labelled images: settings, files, and the training itself."""
