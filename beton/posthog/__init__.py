"""The only way Beton reads PostHog."""
