"""The tabs of the Curation panel, one module each."""
