"""How often one may come: what the edge asks of each request, and what authentication adds to it.

Without a key a request counts against its address; with a good key against the key's principal, so
that a whole hospital behind one address is not held up by one of its own. A bad key counts against
the address twice: as a request and as a failure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Protocol

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from api.clock import Clock
from api.errors import TooManyRequests, Unauthenticated
from api.keyring import Keyring, Purpose
from api.rates.counts import WINDOW_SECONDS, Bucket, Kind, Limit
from api.rates.proxies import NOBODY, client_finder, visitor
from api.settings import Settings
from db.errors import DatabaseError

UNCOUNTED: Final = frozenset({"/health/live", "/health/ready", "/metrics"})
"""What watches over the service is never turned away."""

_WORDS: Final[Mapping[Kind, str]] = {
    "key": "More requests with this API key",
    "address": "More requests from this address",
    "failures": "More requests from this address with an API key that is not good",
}


class Principal(Protocol):
    @property
    def principal(self) -> str: ...


class Keys(Protocol):
    """What is asked of authentication here."""

    def recognized(self, header: str) -> str | None:
        """The principal of a key that was good a while ago, without asking the database."""
        ...

    async def authenticate(self, header: str | None) -> Principal:
        """Raises Unauthenticated, DatabaseError."""
        ...


class Gate(Collector):
    """One for each process."""

    def __init__(self, settings: Settings, *, keyring: Keyring, keys: Keys, clock: Clock) -> None:
        def limit(kind: Kind, most: int) -> Limit | None:
            if most == 0:
                return None
            return Limit(kind, most, clock=clock, key=lambda: keyring.active(Purpose.RATES)[1])

        self.key = limit("key", settings.rate_key)
        self.address = limit("address", settings.rate_address)
        self.failures = limit("failures", settings.rate_failures)
        self.keys = keys
        proxies = settings.trusted_proxies
        self._client = None if proxies is None else client_finder(proxies)

    @property
    def limits(self) -> Sequence[Limit]:
        return [each for each in (self.key, self.address, self.failures) if each is not None]

    def arrive(
        self,
        peer: tuple[str, int] | None,
        headers: Iterable[tuple[bytes, bytes]],
        authorization: bytes | None,
        at: float,
    ) -> Arrival:
        """Counts a request before anything else is done about it. `at` is monotonic time."""
        client = NOBODY if peer is None else peer[0]
        if self._client is not None:
            client = self._client(client, headers)
        arrival = Arrival(self, visitor(client), at)
        if authorization is None:
            if self.address is not None:
                arrival.bucket = self.address.count(arrival.address, at)
        else:
            arrival.carries(authorization)
        return arrival

    def collect(self) -> Iterator[Metric]:
        refused = CounterMetricFamily(
            "clinicway_requests_refused",
            "Requests answered with 429, by the limit that was exceeded",
            labels=["limit"],
        )
        for limit in self.limits:
            refused.add_metric([limit.kind], limit.refused)
        yield refused


class Arrival:
    """One request under the limits."""

    __slots__ = ("_at", "_gate", "_key", "address", "bucket")

    def __init__(self, gate: Gate, address: str, at: float) -> None:
        self._gate = gate
        self._at = at
        self._key: str | None = None
        self.address = address
        """The name of the client's address."""
        self.bucket: Bucket | None = None
        """What it counts against; nothing when that limit is off."""

    def __deepcopy__(self, _memo: object) -> Arrival:
        # The framework copies the state of a request whenever it is asked for it.
        return self

    def headers(self) -> Sequence[tuple[bytes, bytes]]:
        """As draft-ietf-httpapi-ratelimit-headers has them: structured fields (RFC 9651)."""
        bucket = self.bucket
        if bucket is None:
            return ()
        limit = bucket.limit
        remains = limit.form % (bucket.left, bucket.seconds_left(self._at))
        return ((b"ratelimit-policy", limit.policy), (b"ratelimit", remains))

    @property
    def is_refused(self) -> bool:
        return self.bucket is not None and self.bucket.is_over

    def refusal(self) -> TooManyRequests:
        """Of a request that is refused. Counted as given."""
        bucket = self.bucket
        assert bucket is not None, "only a limit refuses"
        limit = bucket.limit
        limit.refused += 1
        return TooManyRequests(
            f"{_WORDS[limit.kind]} came within {WINDOW_SECONDS} seconds than the {limit.most} "
            "that are answered.",
            headers={"Retry-After": str(bucket.seconds_left(self._at))},
        )

    def carries(self, authorization: bytes) -> None:
        """Count it against the key if that is known to have been good, else against the address
        until the key has been looked up."""
        gate = self._gate
        self._key = gate.keys.recognized(authorization.decode("latin-1"))
        if self._key is not None:
            self.bucket = None if gate.key is None else gate.key.count(self._key, self._at)
        elif gate.address is not None:
            self.bucket = gate.address.count(self.address, self._at)

    async def is_let_in_by(self, authorization: bytes) -> bool:
        """For a request that its address would have refused: whether its key is good and has
        requests left. Looks the key up, unless too many bad ones came from that address."""
        gate = self._gate
        if self._key is not None or self._failed_too_often():
            return False
        try:
            known = await gate.keys.authenticate(authorization.decode("latin-1"))
        except Unauthenticated:
            if gate.failures is not None:
                gate.failures.count(self.address, self._at)
            return False
        except DatabaseError:
            return False
        self._belong_to(known.principal)
        return not self.is_refused

    def accepted(self, principal: str) -> None:
        """The key of this request is good. Raises TooManyRequests."""
        if self._key == principal:
            return
        self._belong_to(principal)
        if self.is_refused:
            raise self.refusal()

    def failed(self) -> None:
        """The key of this request is not good. Raises TooManyRequests."""
        gate = self._gate
        if self._key is not None and gate.address is not None:
            # It had been good until now; what it took from its principal is the address's.
            self.bucket = gate.address.count(self.address, self._at)
        if gate.failures is not None and not self.is_refused:
            self.bucket = gate.failures.count(self.address, self._at)
        if self.is_refused:
            raise self.refusal()

    def _belong_to(self, principal: str) -> None:
        gate = self._gate
        if self.bucket is not None:
            self.bucket.limit.take_back(self.bucket)
        self._key = principal
        self.bucket = None if gate.key is None else gate.key.count(principal, self._at)

    def _failed_too_often(self) -> bool:
        failures = self._gate.failures
        return failures is not None and failures.is_over(self.address, self._at)
