"""What a model's attention is told to do while it paints: which words each pixel may attend to."""
