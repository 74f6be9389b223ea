"""gRPC: the servicer, and the mapping between messages of the proto and the domain."""
