"""A small agent on OpenAI's SDK, as much a client as the others: it answers, or works with two tools until done.

``sdk_openai.py chat|responses BASE_URL MODEL PROMPT [PICTURE]``, streamed, with the SDK's own retries.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import openai

MAX_TURNS = 8
PARAMETERS = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "content": {"type": "string"}},
    "required": ["path"],
}
FUNCTIONS = [
    {"name": "write_file", "description": "Writes content to the file at path", "parameters": PARAMETERS},
    {"name": "read_file", "description": "Reads the file at path", "parameters": PARAMETERS},
]


def use(name: str, arguments: str) -> str:
    wanted = json.loads(arguments)
    path = Path(wanted["path"])
    if name == "write_file":
        path.write_text(wanted["content"])
        return "ok"
    return path.read_text()


def data_url(picture: Path) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture.read_bytes()).decode()}"


def chat(client: openai.OpenAI, model: str, prompt: str, picture: Path | None) -> str:
    content: list[Any] = [{"type": "text", "text": prompt}]
    if picture:
        content.append({"type": "image_url", "image_url": {"url": data_url(picture)}})
    messages: list[Any] = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": content}]
    tools: Any = [{"type": "function", "function": function} for function in FUNCTIONS]
    for _ in range(MAX_TURNS):
        with client.chat.completions.stream(model=model, messages=messages, tools=tools) as stream:
            for _event in stream:
                pass
            message: Any = stream.get_final_completion().choices[0].message
        messages.append(message.model_dump(exclude_none=True, include={"role", "content", "tool_calls"}))
        if not message.tool_calls:
            return str(message.content)
        for call in message.tool_calls:
            result = use(call.function.name, call.function.arguments)
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})
    raise SystemExit("no end")


def responses(client: openai.OpenAI, model: str, prompt: str, picture: Path | None) -> str:
    content: list[Any] = [{"type": "input_text", "text": prompt}]
    if picture:
        content.append({"type": "input_image", "image_url": data_url(picture), "detail": "auto"})
    items: list[Any] = [{"role": "user", "content": content}]
    fields: dict[str, Any] = {
        "model": model,
        "instructions": "Be brief.",
        "tools": [{"type": "function", "strict": False, **function} for function in FUNCTIONS],
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "reasoning": {"effort": "low", "summary": "auto"},
    }
    for _ in range(MAX_TURNS):
        with client.responses.stream(input=items, **fields) as stream:
            for event in stream:
                if event.type == "response.failed":  # which the helper takes for any other event
                    raise SystemExit(f"response.failed: {event.response.error}")
            answer: Any = stream.get_final_response()
        calls = [item for item in answer.output if item.type == "function_call"]
        items += [replayed(item) for item in answer.output]
        if not calls:
            return str(answer.output_text)
        for call in calls:
            result = use(call.name, call.arguments)
            items.append({"type": "function_call_output", "call_id": call.call_id, "output": result})
    raise SystemExit("no end")


def replayed(item: Any) -> Any:
    """An item as it came, without what the SDK's helper has added."""
    plain = item.model_dump(exclude_none=True, exclude={"parsed_arguments"})
    for part in plain.get("content") or []:
        part.pop("parsed", None)
    return plain


def main(api: str, base_url: str, model: str, prompt: str, picture: str = "") -> None:
    client = openai.OpenAI(base_url=f"{base_url}/v1", api_key="any", timeout=100)
    agent = {"chat": chat, "responses": responses}[api]
    try:
        print(agent(client, model, prompt, Path(picture) if picture else None))
    except openai.APIError as error:
        raise SystemExit(f"{type(error).__name__}: {error}") from None


if __name__ == "__main__":
    main(*sys.argv[1:])
