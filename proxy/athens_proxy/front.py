"""The wiring of the web: the gate, the finished answers in front of it, and the page that greets people."""

from __future__ import annotations

from pathlib import Path

from athens_proxy.client_access import access, needs_credentials
from athens_proxy.clients.watch import WatchedClients
from athens_proxy.config.sections import Config
from athens_proxy.event_services import Telling
from athens_proxy.events.events import Events
from athens_proxy.metrics import Metrics
from athens_proxy.page.facts import Facts
from athens_proxy.policy.enforced import EnforcedPolicy
from athens_proxy.web.external_store import ExternalStore
from athens_proxy.web.handlers import Handlers, Services
from athens_proxy.web.home import HomeFacts, HomePage
from athens_proxy.web.hot_answers import HOT_BYTES, FinishedAnswers
from athens_proxy.web.middleware import Gate
from athens_proxy.web.page import Page
from athens_proxy.web.responses import CacheScope, Responses
from athens_proxy.web.routes import Routes
from athens_proxy.web.top import Top


def gate(
    config: Config,
    services: Services,
    metrics: Metrics,
    scratch: Path,
    clients: WatchedClients | None,
    tell: Telling,
    facts: Facts | None,
    top: Top,
) -> Gate:
    """The entry of every request."""
    cache = CacheScope(private=needs_credentials(config))
    responses = Responses(cache, upstream_errors=config.server.upstream_errors)
    handlers = Handlers(services, responses)
    store = None
    if config.remotes.serve:
        store = ExternalStore(services.storage, scratch, responses, catalog=handlers.catalog)
    page = Page(facts, responses).routes if facts is not None else {}
    routes = Routes(handlers, store=store, more={**tell.routes(responses), **top.routes(responses), **page})
    return Gate(routes, responses, access(config, clients), on_request=metrics.request)


def forget_clients(answers: FinishedAnswers, events: Events) -> None:
    """Credentials came or went: no answer and no stream outlives them."""
    answers.forget()
    events.release()


def finished_answers(config: Config, policy: EnforcedPolicy) -> FinishedAnswers:
    """Answers from memory, unless every request has to be judged by somebody else or by its transport."""
    is_judged = bool(config.policy.validator_hook) or config.server.force_ssl
    return FinishedAnswers(
        policy,
        prefix=config.server.path_prefix,
        needs_credentials=needs_credentials(config),
        max_bytes=0 if is_judged else HOT_BYTES,
    )


def home_page(config: Config, policy: EnforcedPolicy, metrics: Metrics) -> HomePage:
    """The page that greets people."""
    facts = HomeFacts(
        prefix=config.server.path_prefix,
        no_sum_patterns=config.upstream.no_sum_patterns,
        policy=lambda: policy.loaded,
        lookups=metrics.lookups,
        has_page=config.events.page,
    )
    return HomePage(Path(config.server.home_template), facts)
