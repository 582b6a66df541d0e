"""Operations on one mask: working grid, connected components, morphology. Arrays only."""
