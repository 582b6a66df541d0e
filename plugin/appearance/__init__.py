"""How a dataset looks in the App: colours, shown fields, sidebar groups."""
