"""The whole suite for storage. A backend is proven by inheriting from StorageContract and from BusContract."""

from contract.append_contract import AppendContract, ExcerptsContract, WhetherToAppendContract
from contract.expiry_contract import ExpiryContract, TtlContract
from contract.listing_contract import ListingContract
from contract.reading_contract import PageContract, SnapshotContract
from contract.removing_contract import ClearContract, TruncateContract
from contract.replies_contract import BrokenStreamContract, EndedByOthersContract, RepliesContract
from contract.requests_contract import RequestsContract, RequestsOverDaysContract
from contract.sessions_contract import CreateContract, DeleteContract, UpdateContract


class HistoryContract(
    AppendContract,
    WhetherToAppendContract,
    ExcerptsContract,
    RequestsContract,
    PageContract,
    SnapshotContract,
    ClearContract,
    TruncateContract,
):
    """MessageHistory."""


class ReplyContract(RepliesContract, BrokenStreamContract, EndedByOthersContract):
    """ReplyBuffer."""


class SessionsContract(CreateContract, UpdateContract, DeleteContract, ListingContract, TtlContract, ExpiryContract):
    """SessionStore."""


__all__ = ["HistoryContract", "ReplyContract", "RequestsOverDaysContract", "SessionsContract"]
