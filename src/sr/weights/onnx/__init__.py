"""ONNX files: those that `sr` exports, and networks of others."""
