"""Formats that Pillow decodes not at all, not to their depth, or not safely enough."""
