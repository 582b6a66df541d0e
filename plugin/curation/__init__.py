"""Which samples are kept: rules, limits per class, duplicates."""
