"""From the mask of a class to its objects: splits and shapes. Arrays only."""
