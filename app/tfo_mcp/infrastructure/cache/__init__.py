"""State between requests: sessions, resumable streams and the relay between processes."""
