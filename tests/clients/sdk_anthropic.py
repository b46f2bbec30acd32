"""A small agent on Anthropic's SDK, with thinking: ``sdk_anthropic.py BASE_URL MODEL PROMPT [PICTURE]``, streamed."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Any

import anthropic

MAX_TURNS = 8
SCHEMA = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "content": {"type": "string"}},
    "required": ["path"],
}
TOOLS: Any = [
    {"name": "write_file", "description": "Writes content to the file at path", "input_schema": SCHEMA},
    {"name": "read_file", "description": "Reads the file at path", "input_schema": SCHEMA},
]


def use(name: str, wanted: Any) -> str:
    path = Path(wanted["path"])
    if name == "write_file":
        path.write_text(wanted["content"])
        return "ok"
    return path.read_text()


def agent(client: anthropic.Anthropic, model: str, prompt: str, picture: Path | None) -> str:
    content: list[Any] = [{"type": "text", "text": prompt}]
    if picture:
        data = base64.b64encode(picture.read_bytes()).decode()
        content.append({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}})
    messages: list[Any] = [{"role": "user", "content": content}]
    for _ in range(MAX_TURNS):
        with client.messages.stream(
            model=model,
            max_tokens=16_000,
            system="Be brief.",
            messages=messages,
            tools=TOOLS,
            thinking={"type": "enabled", "budget_tokens": 1024},
        ) as stream:
            message: Any = stream.get_final_message()
        blocks = [block.model_dump(exclude_none=True, exclude={"parsed_output"}) for block in message.content]
        messages.append({"role": "assistant", "content": blocks})
        calls = [block for block in message.content if block.type == "tool_use"]
        if not calls:
            return "".join(block.text for block in message.content if block.type == "text")
        results = [
            {"type": "tool_result", "tool_use_id": call.id, "content": use(call.name, call.input)} for call in calls
        ]
        messages.append({"role": "user", "content": results})
    raise SystemExit("no end")


def main(base_url: str, model: str, prompt: str, picture: str = "") -> None:
    client = anthropic.Anthropic(base_url=base_url, api_key="any", timeout=100)
    try:
        print(agent(client, model, prompt, Path(picture) if picture else None))
    except anthropic.APIError as error:
        raise SystemExit(f"{type(error).__name__}: {error}") from None


if __name__ == "__main__":
    main(*sys.argv[1:])
