"""Measures of sets of images by their feature vectors: how varied one is, and how far two are apart."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.floating]


def vendi_score(vectors: Vectors) -> float:
    """The effective number of different images: 1 where all (n, d) vectors point one way, n where all are orthogonal.

    The exponential of the entropy of the eigenvalues of K / n, where K holds the cosines of all pairs (Friedman and
    Dieng 2023). 0 without vectors; vectors of zeros are left out.
    """
    rows = np.asarray(vectors, np.float64)
    lengths = np.linalg.norm(rows, axis=1) if len(rows) else np.zeros(0)
    rows = rows[lengths > 0] / lengths[lengths > 0, None]
    if not len(rows):
        return 0.0
    # Both products have the same eigenvalues besides zeros.
    product = rows @ rows.T if len(rows) <= rows.shape[1] else rows.T @ rows
    shares = np.linalg.eigvalsh(product / len(rows))
    shares = shares[shares > 1e-12]
    return float(np.exp(-np.sum(shares * np.log(shares))))


def frechet_distance(vectors: Vectors, reference: Vectors) -> float:
    """The Fréchet distance of two sets (n, d) and (m, d), taken for normally distributed: FID on Inception's features.

    0 for the same sets. Of fewer images than features it says little, as covariances are then not of full rank.

    Raises:
        ValueError: a set of fewer than two vectors, or vectors of different lengths.
    """
    first, second = _checked(vectors, reference)
    means = first.mean(axis=0), second.mean(axis=0)
    covariances = np.atleast_2d(np.cov(first, rowvar=False)), np.atleast_2d(np.cov(second, rowvar=False))
    values, axes = np.linalg.eigh(covariances[0])
    root = (axes * np.sqrt(np.maximum(values, 0))) @ axes.T
    shared = np.linalg.eigvalsh(root @ covariances[1] @ root)
    spread = np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * np.sqrt(np.maximum(shared, 0)).sum()
    return float(max(np.sum((means[0] - means[1]) ** 2) + spread, 0.0))


def kernel_distance(vectors: Vectors, reference: Vectors) -> float:
    """The squared maximum mean discrepancy of two sets under the kernel (x y / d + 1)^3: KID on Inception's features.

    An unbiased estimate of all pairs: near 0, and as often below as above it, for samples of one distribution.

    Raises:
        ValueError: as ``frechet_distance``.
    """
    first, second = _checked(vectors, reference)
    n, m, length = len(first), len(second), first.shape[1]

    def kernel(a: Vectors, b: Vectors) -> Vectors:
        return np.asarray((a @ b.T / length + 1) ** 3)

    own, other = kernel(first, first), kernel(second, second)
    within = (own.sum() - np.trace(own)) / (n * (n - 1)) + (other.sum() - np.trace(other)) / (m * (m - 1))
    return float(within - 2 * kernel(first, second).mean())


def _checked(vectors: Vectors, reference: Vectors) -> tuple[Vectors, Vectors]:
    first, second = np.asarray(vectors, np.float64), np.asarray(reference, np.float64)
    if min(len(first), len(second)) < 2:
        raise ValueError(f"there are {len(first)} and {len(second)} vectors; give at least two of each")
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"vectors have {first.shape[1]} and {second.shape[1]} features; give both sets the same")
    return first, second
