"""The metrics: each file declares one, or a few that are read off together.

`pipelines.evaluation.metric` finds them. What reads an answer's text and is no metric is in
`pipelines/evaluation/reading/`.
"""
