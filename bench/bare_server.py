"""The yardstick: a grpc.aio server whose one call takes nothing and returns nothing. Prints its address."""

import asyncio

import grpc


async def call(_request: bytes, _context: object) -> bytes:
    """Returns nothing."""
    return b""


async def serve() -> None:
    """Serves until the process ends."""
    server = grpc.aio.server()
    handler: grpc.RpcMethodHandler[bytes, bytes] = grpc.unary_unary_rpc_method_handler(call)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Bare", {"Call": handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f'{{"event": "listening", "address": "127.0.0.1:{port}"}}', flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(serve())
