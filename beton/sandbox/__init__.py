"""A local server that answers like PostHog: demo, tests and anyone without a key run on it.

HogQL is parsed by PostHog's own parser and runs on a real ClickHouse (chdb). Nothing in the product may depend on it.
"""
