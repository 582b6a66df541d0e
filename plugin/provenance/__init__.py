"""What made an image, read back from its sample and its run."""
