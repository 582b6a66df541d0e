"""One self-contained page on a dataset or view: what it holds, and how good it is."""
