"""Forms and queries, read strictly: urlencoded only, small, UTF-8, no parameter twice."""

from __future__ import annotations

from urllib.parse import parse_qsl

from starlette.requests import Request

from pgo.errors import BadRequest, Malformed, TooLarge, UnsupportedMedia

MOST_BYTES, MOST_QUERY, MOST_FIELDS = 65_536, 8_192, 120
_MEDIA = "application/x-www-form-urlencoded"


async def form_of(request: Request) -> dict[str, str]:
    """The form of a POST without query.

    Raises:
        errors.BadRequest: there is a query, or a parameter stands there twice.
        errors.UnsupportedMedia: another content type, charset or a content encoding.
        errors.TooLarge: more than 64 kB.
    """
    if request.scope["query_string"]:
        raise BadRequest("This address takes no query.")
    media, _, rest = request.headers.get("content-type", "").partition(";")
    charset = rest.strip().lower().replace('"', "")
    if media.strip().lower() != _MEDIA or charset not in ("", "charset=utf-8"):
        raise UnsupportedMedia("Send application/x-www-form-urlencoded.")
    if "content-encoding" in request.headers:
        raise UnsupportedMedia("Send the form without content encoding.")
    return parameters(await _body(request))


def query_of(request: Request) -> list[tuple[str, str]]:
    """The parameters of the query, in order, duplicates included.

    Raises:
        errors.BadRequest: too long or not well-formed.
    """
    query: bytes = request.scope["query_string"]
    if len(query) > MOST_QUERY:
        raise TooLarge("The query is too long.")
    return _pairs(query)


def parameters(body: bytes) -> dict[str, str]:
    """Name and value of each parameter; empty values count as absent (RFC 6749 3.2).

    Raises:
        errors.BadRequest: a name twice, or not well-formed.
    """
    pairs = _pairs(body)
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise BadRequest("A parameter stands there more than once.")
    return {name: value for name, value in pairs if value}


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise TooLarge("The form is too large.")
    return bytes(body)


def _pairs(text: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            text.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(text),
            errors="strict",
            max_num_fields=MOST_FIELDS,
        )
    except ValueError as wrong:
        raise Malformed("This is not a well-formed form.") from wrong
