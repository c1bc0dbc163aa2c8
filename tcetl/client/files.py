"""The files of Documents, Reports and Signatures: upload, size and download."""

from typing import Any, Final
from urllib.parse import quote

from tcetl.client.answers import data_of
from tcetl.client.download import Download
from tcetl.client.session import Body, Session
from tcetl.errors import AuthenticationError, ConfigError
from tcetl.groups import GROUP_TYPES


class GroupFiles:
    """The file endpoints of one connection. Groups are known by their xid within their owner."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def upload(self, owner: str, type_: str, xid: str, content: Body) -> None:
        """Give a group its file, or another one in place of the one it has.

        Repeated only when the platform certainly did not take it.

        Args:
            owner: Owner of the group.
            type_: ``Document``, ``Report`` or ``Signature``.
            xid: The group.
            content: The file's bytes, or the path to stream them from.

        Raises:
            NotFoundError: There is no such group.
            AuthenticationError: The API user may not do it.
            ApiError: The platform refused the file: malware that is no protected ZIP, no space, too large.
            ConnectionFailedError: No answer; ``outcome_unknown`` says whether the file may have arrived.
        """
        path = f"/v2/groups/{_branch(type_)}/{quote(xid, safe='')}/upload"
        params = {"owner": owner, "updateIfExists": True}
        try:
            self._session.request("POST", path, params=params, data=content, safe_to_repeat=False)
        except AuthenticationError:
            # Instances that do not know updateIfExists say 401 where the group has a file.
            self._session.request("PUT", path, params=params, data=content, safe_to_repeat=False)

    def size(self, owner: str, type_: str, xid: str) -> int | None:
        """Bytes of the file that the group has: 0 while it has none, None when the platform does not say.

        Raises:
            NotFoundError: There is no such group.
        """
        _branch(type_)
        response = self._session.request("GET", f"/v3/groups/{quote(xid, safe='')}", params={"owner": owner})
        group = data_of(response, dict[str, Any])
        if isinstance(size := group.get("fileSize"), int):
            return size
        return 0 if group.get("status") == _AWAITING else None

    def download(self, owner: str, type_: str, xid: str) -> Download:
        """The group's file as a readable stream, which the caller closes.

        Raises:
            NotFoundError: There is no such group, or it has no file.
        """
        path = f"/v2/groups/{_branch(type_)}/{quote(xid, safe='')}/download"
        response = self._session.request("GET", path, params={"owner": owner}, stream=True)
        return Download(response, f"the file of {type_} {xid}")


_AWAITING: Final = "Awaiting Upload"


def _branch(type_: str) -> str:
    kind = GROUP_TYPES.get(type_)
    if kind is None or not kind.has_content:
        raise ConfigError(f"a {type_} has no file", hint="Documents, Reports and Signatures have")
    return kind.branch
