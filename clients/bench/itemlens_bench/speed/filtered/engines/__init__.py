"""The engines, and the process that measures one. An engine has an environment of its own, so these modules import
numpy and what they measure, nothing else."""
