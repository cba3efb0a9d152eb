"""The throw-away PostgreSQL of the benches, for tests."""

from beton.bench.spare_postgres import fast_directory, temporary_postgres

__all__ = ["fast_directory", "temporary_postgres"]
