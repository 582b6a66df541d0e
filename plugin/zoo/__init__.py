"""Models of FiftyOne's zoo as a label source."""
