"""HogQL in, ClickHouse SQL out."""
