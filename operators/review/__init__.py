"""The panel in which a person decides on one object or image after the other, by keys."""
