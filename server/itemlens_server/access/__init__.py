"""Who may do what: API keys with roles, scopes and quotas. It knows nothing of gRPC."""
