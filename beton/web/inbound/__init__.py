"""What others send us on their own account: events of PostHog's webhook destination, clicks in Slack, the end of mails."""
