"""The atlas of a report: where configurations are good and bad, by degradation, photograph and kind of quality."""
