"""The command line: parses arguments, calls the API, prints. Nothing else in the package prints."""
