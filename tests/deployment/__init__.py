"""What the server is deployed with: the container, Kubernetes, systemd, and what shows it to operators."""
