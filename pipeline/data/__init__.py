"""From crops to views: stores, splits, what a stage opens, batches, augmentation."""
