"""The gRPC service that owns every session."""
