"""Datasets, decoded once and served as index-gathered batches from tensors in memory."""
