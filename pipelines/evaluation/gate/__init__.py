"""Whether a candidate may take the baseline's place: a policy, held against a run's results. Pure."""

from pipelines.evaluation.gate.decision import Check, Decision, gate
from pipelines.evaluation.gate.policy import Policy, Rule, read_policy

__all__ = ["Check", "Decision", "Policy", "Rule", "gate", "read_policy"]
