"""A person looks through objects or images, the worst first, and says which source is right."""
