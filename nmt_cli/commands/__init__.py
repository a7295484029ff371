"""One module per subcommand, each with a `run` that takes the command line's values."""
