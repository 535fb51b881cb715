"""The application: command line, HTTP, workers. Everything that opens something starts here."""
