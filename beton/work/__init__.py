"""The jobs of Beton, in the order of its loop: read this package first.

workplace      what every job needs: settings, store, clock, and a polite client per connection
connecting     a PostHog project: check it, keep it
observing      its taxonomy: names, types, volumes
backtesting    hypotheses on its last 90 days
proposing      hypotheses that nobody has written yet
writing        a hypothesis that a person has written
deciding       a person's yes or no
sweeping       live: what has happened since, as signals
delivering     signals on their way
housekeeping   what may be kept no longer
file_backtests a file of events that several workers read
durable_backtests, schedules      all of it as durable jobs
"""
