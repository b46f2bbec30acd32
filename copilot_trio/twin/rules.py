"""What the Copilot API refuses of requests in OpenAI's formats: what they share, and embeddings (upstream.md §11, §12).

The wording is OpenAI's, in the gateway's envelope.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from . import errors
from .catalogue import Model
from .prompt import Prompt
from .reply import JSON, Reply

MAX_EMBEDDINGS = 512


def unknown_members(value: JSON, known: Container[str], place: str = "") -> Iterator[str]:
    for name in value:
        if name not in known:
            yield f"Unknown parameter: '{place}{'.' if place else ''}{name}'."


def invalid_value(given: object, known: Sequence[str]) -> str:
    return f"Invalid value: '{given}'. Supported values are: {listed(known)}."


def missing(place: str) -> str:
    return f"Missing required parameter: '{place}'."


def listed(values: Sequence[str]) -> str:
    quoted = [f"'{value}'" for value in values]
    return " and ".join(quoted) if len(quoted) < 3 else f"{', '.join(quoted[:-1])}, and {quoted[-1]}"


def unsupported_effort(name: str, effort: object, model: Model) -> Iterator[str]:
    """``name``: what the field is called in this API. Nothing if the model lists this effort."""
    if not model.efforts:
        yield f"Unsupported parameter: '{name}' is not supported with this model."
    elif effort not in model.efforts:
        yield (
            f"Unsupported value: '{effort}' is not supported with the '{model.id}' model. "
            f"Supported values are: {listed(model.efforts)}."
        )


def refusal(problems: Iterator[str]) -> Reply | None:
    """The first problem is the answer; the rest is not looked for."""
    problem = next(problems, None)
    return None if problem is None else errors.rejected(problem)


def check_size(prompt: Prompt, model: Model) -> Reply | None:
    if prompt.tokens > model.max_prompt:
        return errors.too_many_tokens(prompt.tokens, model.max_prompt, vendor=False)
    return None


def check_embeddings(body: JSON) -> Reply | None:
    """``input`` must be a list of strings, and nothing else (upstream.md §0.1 fact 16)."""
    texts = body.get("input")
    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        return errors.error("bad_request")
    return errors.error("invalid_request_body") if len(texts) > MAX_EMBEDDINGS else None
