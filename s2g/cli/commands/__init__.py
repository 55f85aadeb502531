"""One file per subcommand of `s2g`."""
