"""Where feedback is kept: the scheme of `FEEDBACK_URL` is a backend's name."""
