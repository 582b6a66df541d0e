"""Labels measured against others that count as the truth, in FiftyOne's own evaluation and Model Evaluation panel."""
