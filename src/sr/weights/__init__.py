"""Trained networks: checkpoints, untrusted files, the networks that ship with sr, ONNX."""
