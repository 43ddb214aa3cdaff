"""Enlarge videos frame by frame, in constant memory."""
