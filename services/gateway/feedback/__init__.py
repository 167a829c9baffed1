"""What people think of answers, kept by tenant."""
