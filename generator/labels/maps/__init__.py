"""From a class map to a mask: thresholds, guided filter, superpixels. Arrays only."""
