"""The subcommands of ``sr``, a module each: ``add_arguments`` beside ``run``; heavy imports wait until ``run``."""
