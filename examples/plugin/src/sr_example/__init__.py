"""An example of a package that adds a network, a loss and a data source to sr."""
