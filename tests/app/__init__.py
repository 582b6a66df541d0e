"""A package, so that the App's server and the browser are kept for the scenarios in it and no longer."""
