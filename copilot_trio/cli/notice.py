"""What a person should know before their account is used."""

from __future__ import annotations

from copilot_trio.config import Identity

TERMS = (
    "https://docs.github.com/site-policy/github-terms/github-terms-of-service",
    "https://docs.github.com/site-policy/acceptable-use-policies/github-acceptable-use-policies",
    "https://docs.github.com/site-policy/github-terms/github-terms-for-additional-products-and-features",
)


def first_run_notice(identity: Identity) -> str:
    return "\n".join(
        [
            "copilot_trio is unofficial: GitHub neither makes nor supports it, and it may stop working any day.",
            f"It signs in as the Copilot editor plugin and presents itself as {identity.editor_version}",
            f"({identity.integration_id}), because the API refuses requests without an editor's headers.",
            "Your use is bound by GitHub's terms; GitHub can restrict accounts that it judges to break them:",
            *(f"  {url}" for url in TERMS),
            "",
        ]
    )
