"""Files on disk: decoding for training, pictures with all that a file holds, atomic writes, locks."""
