"""Files on disk: images for training, pictures with alpha and 16 bits, tables, atomic writes, locks."""
