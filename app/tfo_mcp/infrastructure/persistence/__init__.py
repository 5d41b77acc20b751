"""What is kept for longer than a process lives."""
