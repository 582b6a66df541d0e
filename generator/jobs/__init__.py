"""A recipe's images, one job each, with a stable job id."""
