"""Folders of images as people have them: their layouts, and the pairs of files in them."""
