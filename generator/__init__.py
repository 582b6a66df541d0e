"""Images and their labels as arrays. Knows torch and diffusers, never FiftyOne."""
