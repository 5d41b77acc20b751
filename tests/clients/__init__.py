"""Agent frameworks as clients: a campaign of its own, since their packages have 450 MB."""
