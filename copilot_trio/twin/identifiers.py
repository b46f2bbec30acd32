"""Ids that look like the real ones and are the same for the same seed.

Nothing here is secret or random: a test that names a seed gets the same ids every time.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
CONSONANTS = "BCDFGHJKLMNPQRSTVWXZ"  # what GitHub's user codes are made of: no vowels, so no words

# upstream.md §14: sealed ids are 304 to 372 bytes long before base64.
SEALED_MINIMUM = 304
SEALED_SPREAD = 69
NONCE_SIZE = 12
TAG_SIZE = 16


class Identifiers:
    def __init__(self, seed: int) -> None:
        self._key = hashlib.sha256(f"copilot twin {seed}".encode()).digest()
        self._count = 0

    def bytes(self, length: int) -> bytes:
        out = b""
        while len(out) < length:
            self._count += 1
            out += hashlib.sha256(self._key + self._count.to_bytes(8, "big")).digest()
        return out[:length]

    def hex(self, length: int) -> str:
        return self.bytes((length + 1) // 2).hex()[:length]

    def word(self, length: int, alphabet: str = ALPHABET) -> str:
        return "".join(alphabet[byte % len(alphabet)] for byte in self.bytes(length))

    def uuid(self) -> str:
        digits = self.hex(32)
        return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:]}"

    def user_code(self) -> str:
        return f"{self.word(4, CONSONANTS)}-{self.word(4, CONSONANTS)}"

    def github_request_id(self) -> str:
        digits = self.hex(32).upper()
        return f"{digits[:4]}:{digits[4:10]}:{digits[10:16]}:{digits[16:22]}:{digits[22:30]}"


class Seal:
    """Opaque blobs that differ each time, yet tell us later what they stand for and for whom (upstream.md §14)."""

    def __init__(self, identifiers: Identifiers) -> None:
        self._identifiers = identifiers
        self._key = identifiers.bytes(32)

    def close(self, meaning: str, binding: str) -> str:
        """``meaning`` may be read back with :meth:`open`; ``binding`` says whose blob it is."""
        nonce = self._identifiers.bytes(NONCE_SIZE)
        plain = f"{binding}\n{meaning}\n".encode()
        size = max(len(plain), SEALED_MINIMUM + nonce[0] % SEALED_SPREAD - NONCE_SIZE - TAG_SIZE)
        masked = self._mask(nonce, plain.ljust(size, b"\0"))
        return base64.b64encode(nonce + self._tag(nonce + masked) + masked).decode()

    def open(self, blob: str) -> tuple[str, str] | None:
        """``(binding, meaning)``, or None for what we never sealed."""
        try:
            raw = base64.b64decode(blob, validate=True)
        except ValueError:
            return None
        nonce, tag, masked = raw[:NONCE_SIZE], raw[NONCE_SIZE : NONCE_SIZE + TAG_SIZE], raw[NONCE_SIZE + TAG_SIZE :]
        if len(raw) < NONCE_SIZE + TAG_SIZE or not hmac.compare_digest(tag, self._tag(nonce + masked)):
            return None
        binding, meaning, _ = self._mask(nonce, masked).decode().split("\n", 2)
        return binding, meaning

    def _mask(self, nonce: bytes, data: bytes) -> bytes:
        stream = hashlib.shake_256(self._key + nonce).digest(len(data))
        return bytes(a ^ b for a, b in zip(data, stream, strict=True))

    def _tag(self, data: bytes) -> bytes:
        return hmac.digest(self._key, data, "sha256")[:TAG_SIZE]

    def sign(self, text: str, binding: str) -> str:
        """A thinking signature: bound to the text, the model and the account (upstream.md §12 row 14)."""
        return base64.b64encode(hmac.digest(self._key, f"{binding}\n{text}".encode(), "sha384")).decode()

    def signed(self, signature: str, text: str, binding: str) -> bool:
        return hmac.compare_digest(signature.encode(), self.sign(text, binding).encode())
