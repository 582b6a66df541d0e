"""The panel of an opened image in which two views of it lie on or beside each other."""
