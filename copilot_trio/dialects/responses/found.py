"""What upstream's own web searches found, gathered from the events of an answer."""

from __future__ import annotations

from collections.abc import Iterable

from copilot_trio.turn import Event, Searched, SearchHit, WebSearch

from .wire_out import Action, Annotation, OutputItem


class Findings:
    """Searches name their sources only if asked to; what they found stands in the citations of later text."""

    def __init__(self) -> None:
        self._searches: list[tuple[str | None, Action]] = []
        self._cited: dict[str, str] = {}  # address -> title

    def search(self, item: OutputItem) -> None:
        """A ``web_search_call``. Opening a page or finding a word in it is one too, and is no search."""
        if item.action is not None and item.action.type == "search":
            self._searches.append((item.id, item.action))

    def cite(self, annotations: Iterable[Annotation]) -> None:
        for annotation in annotations:
            if annotation.type == "url_citation" and annotation.url:
                self._cited.setdefault(annotation.url, annotation.title or "")

    def events(self) -> list[Event]:
        """To be asked at the end, for any text may cite. What no search names as its source goes to the last one."""
        told: list[Event] = []
        cited = dict(self._cited)
        for number, (item_id, action) in enumerate(self._searches, 1):
            hits = {source.url: cited.pop(source.url, "") for source in action.sources or () if source.url}
            if number == len(self._searches):
                hits |= cited
            found = tuple(SearchHit(url, title) for url, title in hits.items())
            query = action.query or ", ".join(action.queries or ())
            told.append(Searched(WebSearch(item_id or f"ws_{number}", query, found)))
        return told
