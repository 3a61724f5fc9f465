"""Data of training: crop stores, splits, batches, augmentation, views, and results of an adaptation."""
