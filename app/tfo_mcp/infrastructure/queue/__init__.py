"""Domain events on their way from those who make them to those who listen."""
