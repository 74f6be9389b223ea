"""What the command line looks like: options, arguments and help. What it does is in `ai_chat_cli.commands`.

Commands import what they run with when they are run: help, completion and mistakes need not wait for gRPC.
"""
