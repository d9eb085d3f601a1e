"""The teaching program "Why recurrence struggles at scale", replayed."""
