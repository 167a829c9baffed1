"""Whether an arm may take the baseline's place, by a policy's margin and rules. Pure."""
