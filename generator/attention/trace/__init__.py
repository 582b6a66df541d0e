"""Tracing a pipeline: from attention to one map per class phrase, or per text."""
