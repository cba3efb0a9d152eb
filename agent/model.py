"""Any OpenAI-compatible endpoint as a model; the only file that knows the `openai` library, which it imports when first asked.

Providers differ in what they understand, so it is learned by asking, from the most exact to the plainest way: native tools; an answer that a JSON
Schema constrains; plain JSON. A refusal, or a text where a tool was to be called, leads one step down for good. Whatever way was taken, what comes
back is only data: `agent.tools` validates it.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from agent.messages import Call, FailureCode, Message, ModelFailure, Reply, Tool, Used

if TYPE_CHECKING:
    import httpx2
    from openai import APIStatusError, OpenAI

WAYS = ("tools", "schema", "plain")
MOST_BYTES = 4_000_000
"""Of one response."""

LONGEST_ANSWER = 100_000
TOO_LONG = re.compile(r"context.{0,20}(length|size|window|exceed)|maximum context|too many (input )?tokens|prompt is too long", re.IGNORECASE)
CODES: dict[int, FailureCode] = {401: "unauthorised", 403: "unauthorised", 429: "rate_limited"}


class _Function(BaseModel):
    name: str = ""
    arguments: str | dict[str, Any] | None = None


class _ToolCall(BaseModel):
    id: str | None = None
    function: _Function = _Function()


class _Said(BaseModel):
    content: str | list[Any] | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(BaseModel):
    message: _Said
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Answer(BaseModel):
    """What is used of a chat completion; providers leave out or add the rest as they like."""

    choices: list[_Choice]
    usage: _Usage | None = None


class OpenAIModel:
    """`url` as in the provider's documentation, with its `/v1`; `key` may be empty for a server of one's own; `timeout` in seconds, for a whole turn.

    `answer_tokens` limits one answer. `way` is one of `WAYS` to begin with. `http_client` is for a proxy or a test.
    """

    def __init__(
        self,
        url: str,
        name: str,
        key: str = "",
        *,
        timeout: float = 60.0,
        answer_tokens: int = 1500,
        way: str = "tools",
        http_client: httpx2.Client | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name, self.host, self.way = name, urlsplit(url).hostname or "", way
        self._url, self._key, self._timeout, self._http_client, self._clock = url, key, timeout, http_client, clock
        self._limits: dict[str, Any] = {"max_tokens": answer_tokens, "temperature": 0}
        self._called_natively = False
        self._client: OpenAI | None = None

    def close(self) -> None:
        """Ends the connections."""
        if self._client is not None:
            self._client.close()

    def turn(self, messages: Sequence[Message], tools: Sequence[Tool]) -> Reply:
        """One request, never more. Raises ModelFailure."""
        asked = self._asked(messages, tools)
        answer = self._answered(asked)
        usage = answer.usage or _Usage()
        used = Used(usage.prompt_tokens, usage.completion_tokens)
        if not answer.choices:
            raise ModelFailure("malformed", "The answer holds no choice.", used=used)
        choice = answer.choices[0]
        text, cut = _text(choice.message.content), choice.finish_reason == "length"
        if choice.message.tool_calls:
            self._called_natively = True
            return Reply(_native(choice.message.tool_calls[0], used, cut), text, used)
        call = call_in(text)
        if call is not None:
            return Reply(call, text, used)
        if self.way == "tools" and not self._called_natively:
            self.way = "schema"
            raise ModelFailure("adapting", "The provider answers with text instead of calling a tool.", text=text, used=used)
        if cut:
            raise ModelFailure("cut_short", "The answer is longer than it may be.", text=text, used=used)
        raise ModelFailure("malformed", "The answer is no JSON of the form that was asked for.", text=text, used=used)

    # --- out ---------------------------------------------------------------------------------------------------------

    def _asked(self, messages: Sequence[Message], tools: Sequence[Tool]) -> dict[str, Any]:
        asked = self._limits | {"model": self.name, "messages": _rendered(messages, native=self.way == "tools")}
        if self.way == "tools":
            asked["tools"] = [
                {"type": "function", "function": {"name": one.name, "description": one.description, "parameters": one.brief}} for one in tools
            ]
        elif self.way == "schema":
            asked["response_format"] = {"type": "json_schema", "json_schema": {"name": "turn", "strict": False, "schema": union(tools)}}
        return asked

    def _openai(self) -> OpenAI:
        if self._client is None:
            from openai import DefaultHttpxClient, OpenAI

            # Not where the provider sends us: only the address that was configured has been looked at.
            direct = self._http_client or DefaultHttpxClient(base_url=self._url, timeout=self._timeout, follow_redirects=False)
            self._client = OpenAI(
                base_url=self._url,
                api_key=self._key or "none",
                timeout=self._timeout,
                max_retries=0,
                http_client=direct,
            )
            # The library takes these from the environment, and would send them to whatever host this is.
            self._client.organization = self._client.project = None
        return self._client

    def _answered(self, asked: Mapping[str, Any]) -> _Answer:
        import httpx2
        from openai import APIConnectionError, APIStatusError, APITimeoutError, OpenAIError

        try:
            body = self._body(asked)
        except (APITimeoutError, httpx2.TimeoutException) as late:
            raise ModelFailure("timeout", f"No answer within {self._timeout:g} s.") from late
        except APIStatusError as refused:
            self._refused(refused, asked)
        except (APIConnectionError, httpx2.HTTPError) as broken:
            raise ModelFailure("refused_connection", f"No connection to {self.host}.") from broken
        except (OpenAIError, UnicodeEncodeError) as other:  # a header, such as the key, must be ASCII
            raise ModelFailure("rejected", f"The request was not made: {type(other).__name__}.") from None
        try:
            return _Answer.model_validate_json(body)
        except ValidationError as unread:
            raise ModelFailure("malformed", "The response is no chat completion.") from unread

    def _body(self, asked: Mapping[str, Any]) -> bytes:
        """The response, within the time of a whole turn: the library's own time-out begins anew with each byte."""
        until = self._clock() + self._timeout
        body = bytearray()
        with self._openai().chat.completions.with_streaming_response.create(**asked) as response:
            for piece in response.iter_bytes():
                body += piece
                if self._clock() > until:
                    raise ModelFailure("timeout", f"No whole answer within {self._timeout:g} s.")
                if len(body) > MOST_BYTES:
                    raise ModelFailure("malformed", "The response is larger than any answer.")
        return bytes(body)

    # --- refused -----------------------------------------------------------------------------------------------------

    def _refused(self, error: APIStatusError, asked: Mapping[str, Any]) -> NoReturn:
        """What a refusal means, and whether asking in another way may help. Nothing of its text is repeated: it may hold the key."""
        status, told = error.status_code, str(error.body or error.message)[:LONGEST_ANSWER]
        if status == 429 and "insufficient_quota" in told:
            raise ModelFailure("rejected", "The account at the provider has nothing left.") from error
        if status == 429 or status >= 500:
            code: FailureCode = "rate_limited" if status == 429 else "server_error"
            if not (self.way == "tools" and status in (500, 501) and "tool" in told.casefold()):
                raise ModelFailure(code, f"The provider answered {status}.", retry_after=_retry_after(error.response.headers)) from error
        if status in (400, 413, 422) and TOO_LONG.search(told):
            if self.way == "tools":
                self.way = "schema"  # there the tools take no room of the conversation
            raise ModelFailure("too_long", "The conversation is longer than the model's context.") from error
        if status in (400, 404, 405, 415, 422, 500, 501) and self._do_without(told.casefold(), asked):
            raise ModelFailure("adapting", "The provider does not know a part of the request.") from error
        raise ModelFailure(CODES.get(status, "rejected"), f"The provider refused the request ({status}).") from error

    def _do_without(self, told: str, asked: Mapping[str, Any]) -> bool:
        """Leaves out, for good, what the refusal names; False where it names nothing that can be left out."""
        if "max_tokens" in asked and "max_tokens" in told:
            self._limits["max_completion_tokens"] = self._limits.pop("max_tokens")
        elif "max_completion_tokens" in asked and "max_completion_tokens" in told:
            self._limits.pop("max_completion_tokens")
        elif "temperature" in asked and "temperature" in told:
            self._limits.pop("temperature")
        elif self.way == "tools" and re.search(r"tool|function", told):
            self.way = "schema"
        elif self.way == "schema" and re.search(r"response_format|schema|grammar", told):
            self.way = "plain"
        else:
            return False
        return True


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, from either form of the header; a date is compared with the response's own."""
    told = headers.get("retry-after")
    if told is None:
        return None
    try:
        return max(0.0, float(told))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(told) - parsedate_to_datetime(headers.get("date", ""))).total_seconds())
    except (ValueError, TypeError):
        return None


# --- the conversation in a provider's form ---------------------------------------------------------------------------


def union(tools: Sequence[Tool]) -> dict[str, Any]:
    """One JSON Schema for "call one of these": `{"next": {"tool": …, …}}`."""
    branches = []
    for one in tools:
        properties = {"tool": {"type": "string", "const": one.name}} | one.exact.get("properties", {})
        required = ["tool", *one.exact.get("required", [])]
        branches.append({"type": "object", "properties": properties, "required": required, "additionalProperties": False})
    shared = {name: part for one in tools for name, part in one.definitions.items()}
    whole = {"type": "object", "properties": {"next": {"anyOf": branches}}, "required": ["next"], "additionalProperties": False}
    return whole | ({"$defs": shared} if shared else {})


def _rendered(messages: Sequence[Message], *, native: bool) -> list[dict[str, Any]]:
    """Neighbours of the user's side are one message: some servers insist that the sides take turns."""
    done: list[dict[str, Any]] = []
    for one in _each_rendered(messages, native=native):
        if done and one["role"] == done[-1]["role"] == "user":
            done[-1] = {"role": "user", "content": f"{done[-1]['content']}\n\n{one['content']}"}
        else:
            done.append(one)
    return done


def _each_rendered(messages: Sequence[Message], *, native: bool) -> Iterator[dict[str, Any]]:
    for place, one in enumerate(messages):
        said = f"call_{place}"
        if one.call is not None and native:
            function = {"name": one.call.tool, "arguments": json.dumps(one.call.arguments)}
            yield {"role": "assistant", "content": None, "tool_calls": [{"id": said, "type": "function", "function": function}]}
        elif one.call is not None:
            yield {"role": "assistant", "content": json.dumps({"next": {"tool": one.call.tool} | one.call.arguments})}
        elif one.role == "tool" and native and place and messages[place - 1].call is not None:
            yield {"role": "tool", "tool_call_id": f"call_{place - 1}", "content": one.text}
        else:
            yield {"role": "user" if one.role == "tool" else one.role, "content": one.text}


def _native(said: _ToolCall, used: Used, cut: bool) -> Call:
    arguments = said.function.arguments
    read = arguments if isinstance(arguments, dict) else json_in(arguments or "{}")
    if not isinstance(read, dict):
        code: FailureCode = "cut_short" if cut else "malformed"
        raise ModelFailure(code, "The arguments of the tool are no JSON object.", text=str(arguments)[:LONGEST_ANSWER], used=used)
    return Call(said.function.name, read)


def _text(content: str | list[Any] | None) -> str:
    if isinstance(content, list):
        content = "".join(str(one.get("text", "")) for one in content if isinstance(one, dict))
    return (content or "")[:LONGEST_ANSWER]


def call_in(text: str) -> Call | None:
    """The call that a text spells out as JSON, whatever is written around it."""
    read = json_in(text)
    inner = read.get("next", read) if isinstance(read, dict) else None
    if not isinstance(inner, dict) or not isinstance(inner.get("tool"), str):
        return None
    return Call(inner["tool"], {key: value for key, value in inner.items() if key != "tool"})


def json_in(text: str) -> Any:
    """The JSON object that begins at the first brace of a text, None where there is none."""
    text = re.sub(r"<think>.*?</think>", "", text[:LONGEST_ANSWER], flags=re.DOTALL)
    start = text.find("{")
    if start < 0:
        return None
    try:
        read = json.JSONDecoder(parse_constant=lambda _: None).raw_decode(text, start)[0]
        json.dumps(read, ensure_ascii=False).encode()  # half a surrogate pair is no text
    except (ValueError, RecursionError):
        return None
    return read
