"""How usable images and labels are, as numbers by which samples are sorted and curated."""
