"""One request with what every rule needs from it, worked out once; no rules of its own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from pgo.consent import moments
from pgo.consent.model import (
    PLAIN_LABELS,
    PRIVATE_KINDS,
    PROVIDER_KINDS,
    SEALS,
    Grant,
    Person,
    Request,
    Resource,
    World,
)

OVERIG = frozenset({"overig"})


@dataclass(slots=True)
class Asking:
    """The question as the rules see it; `actor` is whose rights are looked at.

    `categories` is empty only for a `bare_patient`: a Patient without categories that is read.
    `sensitive` are the labels a permit must name.
    """

    world: World
    request: Request
    resource: Resource
    client: Person
    actor: Person
    at: datetime
    action: str
    categories: frozenset[str]
    sensitive: frozenset[str]
    bare_patient: bool
    org: str
    role: str

    @property
    def private(self) -> bool:
        """Whether the actor acts for nobody but himself or the client."""
        return self.actor.kind in PRIVATE_KINDS

    @property
    def provider(self) -> bool:
        """Whether the actor is a care provider or its system."""
        return self.actor.kind in PROVIDER_KINDS

    @property
    def own_record(self) -> bool:
        """Whether it is a record of the organisation in the token, as far as is known."""
        resource = self.resource
        if not self.org:
            return False
        if resource.org:
            return resource.org == self.org
        if resource.author:
            author = self.world.person(resource.author)
            return author.id == self.actor.id or self.org in author.orgs
        return self.action == "toevoegen"

    def minute(self) -> int:
        """Local minute of the week."""
        return moments.minute_of_week(self.at)


def ask(world: World, request: Request) -> Asking:
    """The request of the actor himself."""
    resource = request.resource
    bare = resource.type == "Patient" and not resource.categories and request.action == "lezen"
    return Asking(
        world=world,
        request=request,
        resource=resource,
        client=world.person(request.client),
        actor=request.person or world.person(request.actor),
        at=request.at,
        action=request.action,
        categories=resource.categories or (frozenset() if bare else OVERIG),
        sensitive=resource.labels - PLAIN_LABELS - SEALS,
        bare_patient=bare,
        org=request.org,
        role=request.role,
    )


def ask_for_giver(asking: Asking, grant: Grant) -> Asking:
    """The same question, put for the grantee of a grant that was passed on; role not checked."""
    return Asking(
        world=asking.world,
        request=asking.request,
        resource=asking.resource,
        client=asking.client,
        actor=asking.world.person(grant.to_who),
        at=asking.at,
        action=asking.action,
        categories=asking.categories,
        sensitive=asking.sensitive,
        bare_patient=asking.bare_patient,
        org="",
        role="",
    )
