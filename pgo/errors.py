"""The error tree: one class is one row of status, FHIR issue code and OAuth code.

::

    PgoError
    ├─ BadRequest 400 invalid             ├─ Conflict 409 conflict
    │  ├─ TooSlow 408 timeout             ├─ VersionMismatch 412 conflict
    │  ├─ Malformed structure             ├─ TooLarge 413 too-long
    │  ├─ BadValue value                  │  ├─ AddressTooLong 414
    │  ├─ Missing required                │  └─ HeadTooLarge 431
    │  ├─ Unsupported not-supported       ├─ UnsupportedMedia 415 not-supported
    │  ├─ InvalidGrant                    ├─ Unprocessable 422 processing
    │  ├─ InvalidScope                    │  ├─ NotTaken not-supported
    │  ├─ InvalidProof                    │  └─ TooCostly too-costly
    │  │  └─ NonceNeeded                  ├─ TooMany 429 throttled
    │  ├─ UnsupportedGrantType            ├─ Incident 500 exception
    │  └─ UnauthorizedClient              ├─ Unavailable 503 transient
    ├─ Unauthenticated 401 login          ├─ NoSpace 507 no-store
    │  ├─ ProofRefused                    │
    │  ├─ NonceStale                      │
    │  └─ InvalidClient                   │
    ├─ Forbidden 403 forbidden            └─ ManyMatches 412 multiple-matches
    │  └─ ScopeTooSmall
    ├─ NotFound 404 not-found
    │  └─ NoSuchInteraction 405 not-supported
    ├─ NotAcceptable 406 not-supported
    └─ Gone 410 deleted

This module renders nothing: `pgo.web` draws an error in the form of the address that was asked.
`detail` is for the caller and never repeats a value he sent; the cause is for the log.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing that is wrong: FHIR issue `code`, `place` (FHIRPath or parameter), `detail`.

    `severity` is fatal, error, warning or information (http://hl7.org/fhir/issue-severity).
    """

    code: str
    detail: str
    place: str = ""
    severity: str = "error"


class PgoError(Exception):
    """Anything this server says no to.

    Args:
        detail: English sentence for the caller, without any value from the request.
        place: FHIRPath, parameter or field the error is about; may be empty.
        issues: all that is wrong, when it is more than one thing.
        headers: extra response headers, such as Retry-After.
    """

    status = 500
    issue = "exception"
    oauth = "server_error"
    dutch = "Er ging iets mis bij ons. Probeer het later nog eens."

    def __init__(
        self,
        detail: str,
        *,
        place: str = "",
        issues: tuple[Issue, ...] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.place = place
        self.issues = issues or (Issue(self.issue, detail, place),)
        self.headers = headers or {}


class BadRequest(PgoError):
    """The request is wrong in itself."""

    status, issue, oauth = 400, "invalid", "invalid_request"
    dutch = "Deze vraag klopt niet. Vraag de maker van uw app om hulp."


class Malformed(BadRequest):
    """Not JSON, XML or a form at all, or not a resource."""

    issue = "structure"


class BadValue(BadRequest):
    """A value is not of its type or not allowed."""

    issue = "value"


class Missing(BadRequest):
    """Something required is absent."""

    issue = "required"


class Unsupported(BadRequest):
    """A parameter, type or option this server does not know."""

    issue = "not-supported"
    dutch = "Dit onderdeel van de vraag kennen wij niet. Vraag de maker van uw app om hulp."


class TooSlow(BadRequest):
    """The body did not arrive within the time it gets."""

    status, issue = 408, "timeout"
    dutch = "Het versturen duurde te lang. Probeer het opnieuw."


class InvalidGrant(BadRequest):
    """A code, refresh token or assertion that is not (any more) good (RFC 6749 5.2)."""

    oauth = "invalid_grant"
    dutch = "De app heeft geen toegang meer. Log in de app opnieuw in."


class InvalidScope(BadRequest):
    """A scope that is unknown, malformed or more than allowed."""

    oauth = "invalid_scope"
    dutch = "De app vraagt meer dan mag, of iets onbekends. Vraag de maker van uw app om hulp."


class InvalidProof(BadRequest):
    """A token is asked without a good DPoP proof (RFC 9449 5)."""

    oauth = "invalid_dpop_proof"


class NonceNeeded(InvalidProof):
    """The DPoP proof needs the nonce in the header `DPoP-Nonce` (RFC 9449 8)."""

    oauth = "use_dpop_nonce"


class UnsupportedGrantType(BadRequest):
    """A grant type this server does not offer."""

    oauth = "unsupported_grant_type"


class UnauthorizedClient(BadRequest):
    """This app may not use this grant type."""

    oauth = "unauthorized_client"


class Unauthenticated(PgoError):
    """No token, or one that is not good (RFC 6750)."""

    status, issue, oauth = 401, "login", "invalid_token"
    dutch = "U bent niet ingelogd. Log opnieuw in."


class ProofRefused(Unauthenticated):
    """A bound token came without a good proof of its key (RFC 9449 7.1)."""

    oauth = "invalid_dpop_proof"


class NonceStale(Unauthenticated):
    """The proof with a token has an old nonce; `DPoP-Nonce` has a new one (RFC 9449 9)."""

    oauth = "use_dpop_nonce"


class InvalidClient(Unauthenticated):
    """Client authentication failed; says no more than that."""

    oauth = "invalid_client"
    dutch = "Wij kennen deze app niet. Vraag de maker van uw app om hulp."


class Forbidden(PgoError):
    """An action that is not allowed on something the caller may see."""

    status, issue, oauth = 403, "forbidden", "access_denied"
    dutch = "Dit mag u niet doen in dit dossier."


class ScopeTooSmall(Forbidden):
    """The token's scope does not reach this."""

    oauth = "insufficient_scope"
    dutch = "Deze app mag dit niet. Geef de app eerst meer rechten."


class NotFound(PgoError):
    """Does not exist, or is not for this caller: the answer is the same."""

    status, issue, oauth = 404, "not-found", "invalid_request"
    dutch = "Dit is niet gevonden. Het is er niet, of u mag het niet zien."


class NoSuchInteraction(NotFound):
    """This method is not offered at this address."""

    status, issue = 405, "not-supported"
    dutch = "Dit kan hier niet op deze manier. Vraag de maker van uw app om hulp."


class NotAcceptable(PgoError):
    """No form of answer that the caller can read is offered."""

    status, issue, oauth = 406, "not-supported", "invalid_request"
    dutch = "In deze vorm kunnen wij niet antwoorden. Vraag de maker van uw app om hulp."


class Gone(PgoError):
    """Was there and is deleted."""

    status, issue, oauth = 410, "deleted", "invalid_request"
    dutch = "Dit is verwijderd."


class Conflict(PgoError):
    """Contradicts what is there."""

    status, issue, oauth = 409, "conflict", "invalid_request"
    dutch = "Dit past niet bij wat er al staat. Kijk eerst wat er nu staat."


class VersionMismatch(PgoError):
    """If-Match names another version than the newest."""

    status, issue, oauth = 412, "conflict", "invalid_request"
    dutch = "Iemand anders heeft dit net gewijzigd. Kijk eerst wat er nu staat."


class ManyMatches(PgoError):
    """A condition of a change means more than one resource."""

    status, issue, oauth = 412, "multiple-matches", "invalid_request"
    dutch = "Er is meer dan één ding waar dit bij past. Er is niets opgeslagen."


class TooLarge(PgoError):
    """More bytes, entries or depth than the limits allow."""

    status, issue, oauth = 413, "too-long", "invalid_request"
    dutch = "Dit is te groot. Verstuur het in kleinere delen."


class AddressTooLong(TooLarge):
    """A longer address than the limits allow; POST `_search` has no such limit."""

    status = 414
    dutch = "Deze vraag is te lang. Vraag de maker van uw app om hulp."


class HeadTooLarge(TooLarge):
    """More header fields, or more bytes in them, than the limits allow (RFC 6585)."""

    status = 431
    dutch = "Deze vraag is te lang. Vraag de maker van uw app om hulp."


class UnsupportedMedia(PgoError):
    """A content type, charset or encoding this server does not read or write."""

    status, issue, oauth = 415, "not-supported", "invalid_request"
    dutch = "Deze vorm kunnen wij niet lezen. Vraag de maker van uw app om hulp."


class Unprocessable(PgoError):
    """Well-formed, but breaks a rule of the content."""

    status, issue, oauth = 422, "processing", "invalid_request"
    dutch = "Deze gegevens kloppen niet. Er is niets opgeslagen. Kijk ze na."


class NotTaken(Unprocessable):
    """A kind of thing, or a use of it, that this server does not serve and so does not keep."""

    issue = "not-supported"
    dutch = "Dit soort gegevens nemen wij niet aan. Er is niets opgeslagen."


class TooCostly(Unprocessable):
    """A search wider than the limits allow."""

    issue = "too-costly"
    dutch = "Deze vraag is te groot. Vraag minder tegelijk."


class TooMany(PgoError):
    """Asked too often; `Retry-After` says when to come back."""

    status, issue, oauth = 429, "throttled", "temporarily_unavailable"
    dutch = "Dit is te vaak gevraagd. Wacht even en probeer het opnieuw."


class Incident(PgoError):
    """Our own fault; the cause is in the log under the request id."""


class Unavailable(PgoError):
    """Cannot serve now; nothing was done."""

    status, issue, oauth = 503, "transient", "temporarily_unavailable"
    dutch = "Het lukt nu even niet. Probeer het later nog eens."


class NoSpace(PgoError):
    """The disk is full; nothing was stored."""

    status, issue, oauth = 507, "no-store", "temporarily_unavailable"
    dutch = "Er is geen ruimte meer. Er is niets opgeslagen."
