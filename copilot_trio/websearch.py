"""The web search that Claude clients ask for as a request of its own, run by a Responses model's ``web_search``."""

from __future__ import annotations

import msgspec

from copilot_trio.dialects.dialect import MESSAGES
from copilot_trio.dialects.plan import search_asked
from copilot_trio.turn import AnswerContext, Event, Finished, Searched, Started, Text, TextDelta, Turn, Usage, WebSearch

from .job import Job

OFF = (
    "Web search is off in this proxy. To switch it on, set `web_search_model` in its config.json to a model that can "
    "search, such as gpt-5-mini; each search is then one request to that model."
)


class SearchRouting(msgspec.Struct):
    """``model`` runs the searches; None: they are off. Kept, not copied: a change holds from the next request on."""

    model: str | None = None

    def routed(self, job: Job) -> Job | Turn:
        """The job as it is, sent to the model that searches, or the answer that says it is off.

        Raises ``BadRequest`` for a search beside other tools.
        """
        if job.downstream is not MESSAGES:
            return job
        query = search_asked(job.asked.body)
        if query is None:
            return job
        if self.model is None:
            search = WebSearch("srvtoolu_off", query, error="unavailable")
            return Turn("", "", (search, Text(OFF)), "end_turn", Usage())
        return msgspec.structs.replace(job, model=self.model, asked=msgspec.structs.replace(job.asked, search=True))


def events_of(turn: Turn) -> list[Event]:
    """The stream of an answer that we give ourselves."""
    events: list[Event] = [Started(turn.id, turn.model)]
    for part in turn.parts:
        if isinstance(part, WebSearch):
            events.append(Searched(part))
        elif isinstance(part, Text):
            events.append(TextDelta(part.text))
    return [*events, Finished(turn.reason, turn.usage)]


def context_of(job: Job) -> AnswerContext:
    return AnswerContext(job.asked.model, job.asked.created, job.asked.seed)
