"""What is told of a running server: metrics, the call log, liveness and readiness."""
