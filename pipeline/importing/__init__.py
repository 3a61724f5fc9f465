"""Networks that were trained elsewhere, made into model folders of this project."""
