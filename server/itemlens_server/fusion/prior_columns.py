"""The columns of the prior: what everybody takes, and what nobody took yet."""

POPULARITY, NEWNESS = "POPULARITY", "NEWNESS"
ALL, RECENT, TREND = "POPULARITY.all", "POPULARITY.recent", "POPULARITY.trend"
COLUMNS = (ALL, RECENT, TREND)
OF_USERS = (ALL, RECENT)
"""The columns that are fitted beside what is known of a user; the trend is that of users of whom nothing is known."""
