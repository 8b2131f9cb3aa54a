"""Callbacks that explain a run: what they measure goes into history.csv and TensorBoard, training stays as it is."""
