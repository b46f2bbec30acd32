"""A conversation's parts as an Anthropic request has them: content blocks."""

from __future__ import annotations

from collections.abc import Iterator

from copilot_trio.dialects.chat.render import plain
from copilot_trio.turn import REDACTED, Document, Image, Message, Part, RedactedThinking, Thinking, ToolCall, ToolResult

from .wire import tool_input, valid_id

Fields = dict[str, object]
Blocks = list[Fields]


def blocks_of(message: Message) -> Iterator[Fields]:
    """Without texts of blanks alone, which upstream refuses. Only users show files; others can speak of them."""
    for part in message.parts:
        files = isinstance(part, Image | Document) and message.role == "assistant"
        block = _said(part) if files or message.role == "system" else _block(part)
        if block is not None:
            yield block


def _block(part: Part) -> Fields | None:
    match part:
        case Image():
            return _image(part)
        case Document():
            return _document(part)
        case Thinking(signature=signature) if signature.startswith(REDACTED):
            return {"type": "redacted_thinking", "data": signature.removeprefix(REDACTED)}
        case Thinking(text=text, signature=signature):
            # Without its own proof a thought is refused, and a proof with an @ is another provider's.
            proven = signature != "" and "@" not in signature
            return {"type": "thinking", "thinking": text, "signature": signature} if proven else None
        case RedactedThinking(data=data):
            return {"type": "redacted_thinking", "data": data}
        case ToolCall(id=call_id, name=name, arguments=arguments):
            return {"type": "tool_use", "id": valid_id(call_id), "name": name, "input": tool_input(arguments)}
        case ToolResult():
            return _tool_result(part)
        case _:
            return _said(part)


def _said(part: Part) -> Fields | None:
    text = plain(part)
    return text_block(text) if text.strip() else None


def text_block(text: str) -> Fields:
    return {"type": "text", "text": text}


def inner_blocks(owner: Fields) -> Blocks:
    """Of a message or a tool result as they are made here."""
    content = owner["content"]
    assert isinstance(content, list)
    return content


def _tool_result(result: ToolResult) -> Fields:
    content = [block for block in map(_block, result.parts) if block is not None]
    fields: Fields = {"type": "tool_result", "tool_use_id": valid_id(result.call_id), "content": content}
    if result.is_error:  # upstream refuses an error without words
        return fields | {"content": content or [text_block("(no result)")], "is_error": True}
    return fields


def _image(image: Image) -> Fields:
    if image.url:
        return {"type": "image", "source": {"type": "url", "url": image.url}}
    return {"type": "image", "source": {"type": "base64", "media_type": image.media_type, "data": image.data}}


def _document(document: Document) -> Fields | None:
    """Upstream takes PDFs and text; of anything else the model is told that it was there."""
    if document.text:
        source = {"type": "text", "media_type": "text/plain", "data": document.text}
    elif document.url:
        source = {"type": "url", "url": document.url}
    elif document.media_type == "application/pdf":
        source = {"type": "base64", "media_type": document.media_type, "data": document.data}
    else:
        return _said(document)
    fields: Fields = {"type": "document", "source": source}
    return fields | {"title": document.title} if document.title else fields
