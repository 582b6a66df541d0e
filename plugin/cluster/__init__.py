"""Work on many GPUs and machines by Ray: actors that load a model once, leases of small batches, one that writes."""
