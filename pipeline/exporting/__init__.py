"""Trained models for use without this project: ONNX files and model cards."""
