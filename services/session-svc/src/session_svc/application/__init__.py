"""The use cases: what the service does, over the ports. Knows no gRPC and no Redis."""
