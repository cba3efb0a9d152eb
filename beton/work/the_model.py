"""The configured model, and what it may cost now: by the settings for a run, and by what the day's runs have spent already."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from agent.aliases import Sharing
from agent.budget import Budget, Limits
from beton.errors import BadInput, DestinationRefused, SettingsError
from beton.routing.addresses import Resolve, allowed_addresses, check_url, host_of, is_local, resolve
from beton.settings import Settings
from beton.store import questions, search_records
from beton.work.workplace import Workplace

if TYPE_CHECKING:
    from agent.messages import Model


async def chosen_model(settings: Settings, resolve_name: Resolve = resolve) -> Model | None:
    """The model of the settings; None where none is configured.

    Its address passes the same guard as those of webhooks, and this machine is allowed only where the operator allows insecure hosts. What its name
    leads to now is where all its requests go: a name that leads elsewhere a moment later gains nothing. Raises SettingsError.
    """
    own = settings.model
    if not own.configured:
        return None
    insecure = settings.allow_insecure_hosts
    try:
        url = check_url(own.url, allow_insecure=insecure)
        addresses = await allowed_addresses(url, allow_insecure=insecure, resolve=resolve_name)
    except (BadInput, DestinationRefused) as refused:
        raise SettingsError(f"BETON_MODEL_URL may not be used: {refused.message}", code="settings.model_address", fix=refused.fix) from None
    if is_local(host_of(url)) and not insecure:
        raise SettingsError(
            "BETON_MODEL_URL may not be used: it is an address of this machine.",
            code="settings.model_address",
            fix="To use a model server here, set BETON_ALLOW_INSECURE_HOSTS=true.",
        )
    from agent.model import OpenAIModel
    from beton.routing.to_model import open_model_client

    client = open_model_client(own.url, addresses, timeout=own.timeout_seconds)
    return OpenAIModel(own.url, own.name, own.key.get_secret_value() if own.key else "", timeout=own.timeout_seconds, http_client=client)


def budget_now(place: Workplace, at: datetime) -> Budget:
    """The limits of a run, and what is left of those of the day."""
    own = place.settings.model
    with place.store.reading() as tx:
        spent = search_records.spent_on(tx, at)
    run = Limits(own.run_calls, own.run_tokens, own.run_money, own.run_seconds, own.run_queries, own.run_failures)
    left = Limits(
        calls=max(0, own.day_calls - spent.calls),
        tokens=max(0, own.day_tokens - spent.tokens),
        money=max(0.0, own.day_money - spent.money),
        seconds=run.seconds,
        queries=run.queries,
        failures=run.failures,
    )
    return Budget(clock=place.clock, run=run, left_today=left, price_in=own.price_in, price_out=own.price_out, context_tokens=own.context_tokens)


def sharing_of(place: Workplace, connection_id: str) -> Sharing:
    """What the model may see of a connection: names or ids by the settings, values only where a person has said so for this connection."""
    with place.store.reading() as tx:
        question = questions.confirmed(tx, connection_id)
    return Sharing(place.settings.model.sharing, question is not None and question.share_values)
