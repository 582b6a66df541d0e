"""What is read from a model's attention layers during a pass, and how it is added up."""
