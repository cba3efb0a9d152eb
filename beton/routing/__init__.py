"""From a signal to whoever should know: the message, its signatures, the sending, and when to try again."""
