"""Trained networks: checkpoints, untrusted files, the networks shipped with sr, and ONNX export."""
