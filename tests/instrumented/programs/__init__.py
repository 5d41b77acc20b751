"""The programs: a shop each with FastAPI and Express, which keeps orders in PostgreSQL and caches them in Redis."""
