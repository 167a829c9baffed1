"""A question set out of one's own documents: a model drafts, and only what can be checked is kept."""
