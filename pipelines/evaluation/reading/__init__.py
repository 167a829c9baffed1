"""What an answer's text says: its final answer, whether it declines, what it comes to. No metrics."""
