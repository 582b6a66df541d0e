"""What is written to a dataset: field names, samples, labels, media files, runs."""
