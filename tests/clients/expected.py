"""What the clients ask and what they must get. No import: it is read in every client's environment."""

QUESTION = "What do bees make out of nectar?"
ANSWER = "Bees make honey out of nectar in the summer. [1]"
THOUGHT = "The first passage says it."
KEY = "none"
NOTHING = {"rag": {"floor": 1.0}}
"""Fields that leave no passage, so that the answer is an abstention."""
