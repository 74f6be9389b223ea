"""How many files a process may have open, of which each connection is one."""

import resource


def allow_descriptors() -> None:
    """Lets the process open as many files as it may: the usual 1024 are soon used up."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
