"""sr: compare image super-resolution models honestly, fast, and with nothing lost."""
