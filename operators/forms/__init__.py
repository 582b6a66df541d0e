"""Parts of forms that several operators share."""
