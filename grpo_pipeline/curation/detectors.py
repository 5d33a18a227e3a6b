"""Finds personal data in one text: a pattern proposes, a library decides.

The patterns suit both `re` and polars' Rust engine, so that the very same ones find, in a whole column, the few rows
worth looking at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address

import phonenumbers
from detect_secrets.plugins.aws import AWSKeyDetector
from detect_secrets.plugins.azure_storage_key import AzureStorageKeyDetector
from detect_secrets.plugins.basic_auth import BasicAuthDetector
from detect_secrets.plugins.discord import DiscordBotTokenDetector
from detect_secrets.plugins.github_token import GitHubTokenDetector
from detect_secrets.plugins.gitlab_token import GitLabTokenDetector
from detect_secrets.plugins.jwt import JwtTokenDetector
from detect_secrets.plugins.mailchimp import MailchimpDetector
from detect_secrets.plugins.pypi_token import PypiTokenDetector
from detect_secrets.plugins.sendgrid import SendGridDetector
from detect_secrets.plugins.slack import SlackDetector
from detect_secrets.plugins.stripe import StripeDetector
from detect_secrets.plugins.telegram_token import TelegramBotTokenDetector
from detect_secrets.plugins.twilio import TwilioKeyDetector
from stdnum import iban, luhn

EMAIL, PHONE, CARD, IBAN, IP, API_KEY = "EMAIL", "PHONE", "CARD", "IBAN", "IP", "API_KEY"


@dataclass(frozen=True)
class Finding:
    """One piece of personal data: where it stands, its kind, and its value in one spelling."""

    start: int
    end: int
    kind: str
    value: str


Check = Callable[[re.Match[str], Sequence[str]], Finding | None]


@dataclass(frozen=True)
class Detector:
    """A pattern that proposes and the check that decides."""

    kind: str
    pattern: str
    check: Check

    @property
    def prefilter(self) -> str:
        """The pattern for polars, which proposes as much or more.

        Without look-ahead, which its engine lacks; and with ASCII's word boundaries, as Unicode's make it a hundred
        times slower on text that is not all ASCII.
        """
        return _LOOK_AHEAD.sub("", self.pattern).replace(r"\b", r"(?-u:\b)")


_LOOK_AHEAD = re.compile(r"\(\?![^)]*\)")


def _before(match: re.Match[str], length: int = 1) -> str:
    return match.string[max(0, match.start() - length) : match.start()]


def _after(match: re.Match[str]) -> str:
    return match.string[match.end() : match.end() + 1]


# --- e-mail ---------------------------------------------------------------------------------------------------------
_FILE_ENDING = re.compile(
    r"(?i:\.(?:png|jpe?g|gif|svg|webp|css|jsx?|tsx?|json|html?|md|py|txt|pdf|csv|xml|ya?ml|zip))$"
)


def _email(match: re.Match[str], regions: Sequence[str]) -> Finding | None:
    address = match.group().lower()
    # logo@2x.png is a file, git@github.com:owner/name an address of code.
    if _FILE_ENDING.search(address) or (address.startswith("git@") and _after(match) in (":", "/")):
        return None
    return Finding(*match.span(), EMAIL, address)


# --- API keys -------------------------------------------------------------------------------------------------------
# Precise formats only: detect-secrets' keyword and entropy plugins take hashes, ids and prose for secrets.
_SECRET_PLUGINS = (
    AWSKeyDetector,
    AzureStorageKeyDetector,
    BasicAuthDetector,
    DiscordBotTokenDetector,
    GitHubTokenDetector,
    GitLabTokenDetector,
    JwtTokenDetector,
    MailchimpDetector,
    PypiTokenDetector,
    SendGridDetector,
    SlackDetector,
    StripeDetector,
    TelegramBotTokenDetector,
    TwilioKeyDetector,
)
# What those plugins do not know: a key's body, newer formats, a value assigned to a name that says what it is.
_PRIVATE_KEY = (
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----[^-]*(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----)?"
)
_NEWER_SECRET = r"(?:(?:sk-|gsk_|xai-|npm_|github_pat_)[A-Za-z0-9_-]{20,}|AIza[0-9A-Za-z_-]{35})"
_HUGGING_FACE_TOKEN = r"hf_[A-Za-z]{34}"
_ASSIGNED_SECRET = (
    r"(?i:(?:api|access|secret|auth|private)[ _-]?(?:key|token)|client[ _-]?secret|password|passwd|bearer)"
    r"[\"'`]?(?: ?[:=]+ ?| is | )[\"'`]?([A-Za-z0-9_+/=.~-]{16,})"
)
_TOKEN_CHARACTER = re.compile(r"[A-Za-z0-9_-]*")
_SHORTEST_SECRET_GROUP = 8


def _secret(match: re.Match[str], regions: Sequence[str]) -> Finding | None:
    # A group is the secret inside its surroundings, unless it is only a prefix such as `ghp`.
    longest = max(range(1, match.re.groups + 1), key=lambda group: len(match.group(group) or ""), default=0)
    group = longest if len(match.group(longest) or "") >= _SHORTEST_SECRET_GROUP else 0
    start, end = match.span(group)
    if group == 0 and _before(match).isalnum():
        return None
    rest = _TOKEN_CHARACTER.match(match.string, end)
    end = rest.end() if rest else end
    return Finding(start, end, API_KEY, match.string[start:end])


def _newer_secret(match: re.Match[str], regions: Sequence[str]) -> Finding | None:
    # sk-learn-based-... is a word, however long.
    return _secret(match, regions) if any(sign.isdigit() for sign in match.group()) else None


def _assigned_secret(match: re.Match[str], regions: Sequence[str]) -> Finding | None:
    value = match.group(1).rstrip(".=") if match.group(1) else ""
    mixed = any(sign.isdigit() for sign in value) and any(sign.isalpha() for sign in value)
    if not mixed or len(value) < 16 or "://" in value:
        return None
    return Finding(match.start(1), match.start(1) + len(value), API_KEY, value)


# --- bank accounts and cards ----------------------------------------------------------------------------------------
def _iban(match: re.Match[str], regions: Sequence[str]) -> Finding | None:
    if _before(match).isalnum():
        return None
    # The pattern may run on into the next word in capitals: the longest start with a right checksum is the account.
    text = match.group()
    for end in range(len(text), 14, -1):
        following = match.string[match.start() + end : match.start() + end + 1]
        if not text[end - 1].isspace() and not following.isalnum() and iban.is_valid(text[:end]):
            return Finding(match.start(), match.start() + end, IBAN, iban.compact(text[:end]))
    return None


_CARD_ISSUERS = re.compile(
    r"4\d{15}|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}"
    r"|6(?:011|5\d\d|4[4-9]\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|62\d{14,17}"
)


def _card(match: re.Match[str], regions: Sequence[str]) -> Finding | None:
    digits = re.sub(r"[ -]", "", match.group())
    framed = re.search(r"[\w.$€£#]$", _before(match)) or _after(match).isalnum()
    if framed or not _CARD_ISSUERS.fullmatch(digits) or not luhn.is_valid(digits):
        return None
    return Finding(*match.span(), CARD, digits)


# --- IP addresses ---------------------------------------------------------------------------------------------------
_VERSION_WORD = re.compile(r"(?i:\b(?:v|ver|version|release|build|section|chapter|clause|firmware|driver)[\s.:=-]*)$")


def _ipv4(match: re.Match[str], regions: Sequence[str]) -> Finding | None:
    text, after = match.group(), match.string[match.end() : match.end() + 2]
    part_of_more = re.search(r"[\w.$€£-]$", _before(match)) or re.match(r"\w|[.-]\w", after)
    # Four single figures are the number of a version or a chapter far more often than an address.
    if part_of_more or len(text) == 7 or _VERSION_WORD.search(_before(match, 16)):
        return None
    try:
        address = IPv4Address(text)
    except AddressValueError:
        return None
    # Private, loopback and documentation addresses point at nobody.
    return Finding(*match.span(), IP, str(address)) if address.is_global else None


def _ipv6(match: re.Match[str], regions: Sequence[str]) -> Finding | None:
    text = match.group().rstrip(":")
    if re.search(r"[\w:.]$", _before(match)) or _after(match).isalnum() or text.count(":") < 2:
        return None
    try:
        address = IPv6Address(text)
    except AddressValueError:
        return None
    found = Finding(match.start(), match.start() + len(text), IP, address.compressed)
    return found if address.is_global else None


# --- phone numbers --------------------------------------------------------------------------------------------------
_PHONE_WORD = r"(?i:phone|telephone|tel|call|mobile|cell|whatsapp|fax|sms)"
_MORE_DIGITS = r"(?:[ ().\-/]{0,2}[0-9]){6,16}"
_INTERNATIONAL = rf"(?:\+ ?|\b00)\(?[0-9]{_MORE_DIGITS}"
# Without a country code only what is written like a phone number, or said to be one: anything less takes order
# numbers, amounts and years for phones.
_NATIONAL = (
    r"\(?\b[0-9]{3}(?:\) ?|[.\-])[0-9]{3}[.\-][0-9]{4}\b",
    r"\(0[0-9]{1,4}\) ?[0-9](?:[ \-/]?[0-9]){4,9}",
    r"\b0[0-9]{1,4}[ \-/][0-9](?:[ \-/]?[0-9]){5,9}\b",
)
_CALLED_PHONE = rf"\b{_PHONE_WORD}\b[^0-9\n+]{{0,15}}(\(?[0-9]{_MORE_DIGITS})"
_NUMBER_WORD = re.compile(
    r"(?i:\b(?:order|invoice|ref|reference|ticket|case|sku|id|isbn|serial|part|account|no|nr)\W{0,3})$"
)


def _phone_in(text: str, start: int, region: str | None) -> Finding | None:
    leniency = phonenumbers.Leniency.VALID if region is None else phonenumbers.Leniency.EXACT_GROUPING
    for found in phonenumbers.PhoneNumberMatcher(text, region, leniency=leniency, max_tries=8):
        value = phonenumbers.format_number(found.number, phonenumbers.PhoneNumberFormat.E164)
        return Finding(start + found.start, start + found.end, PHONE, value)
    return None


def _international_phone(match: re.Match[str], regions: Sequence[str]) -> Finding | None:
    text = match.group()
    # 3600 + 62426244000 is a sum.
    a_sum = text.startswith("+ ") and re.search(r"[0-9=)]\s*$", _before(match, 4))
    if a_sum or _before(match).isalnum():
        return None
    if text.startswith("00"):
        found = _phone_in("+" + text[2:], match.start() + 1, None)
        return found and Finding(match.start(), found.end, PHONE, found.value)
    return _phone_in(text, match.start(), None)


def _national_phone(match: re.Match[str], regions: Sequence[str]) -> Finding | None:
    start, end = match.span(match.re.groups)
    before, after = match.string[max(0, start - 24) : start], match.string[end : end + 2]
    # Part of something longer (an id, a date, an amount), or a number of another kind by its own words.
    part_of_more = re.search(r"[\w$€£#+/.\-]$", before) or re.match(r"\w|[.\-/:]\w|%", after)
    if part_of_more or _NUMBER_WORD.search(before):
        return None
    found = (_phone_in(match.string[start:end], start, region) for region in regions)
    return next((phone for phone in found if phone), None)


_EMAIL_PATTERN = (
    r"[A-Za-z0-9][A-Za-z0-9._%+\-]{0,63}@(?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,24}\b"
)

# The first to claim a piece of text has it: a password in a URL is no e-mail address, a card no phone number.
DETECTORS: tuple[Detector, ...] = (
    *(
        Detector(API_KEY, f"(?i:{known.pattern})" if known.flags & re.IGNORECASE else known.pattern, _secret)
        for plugin in _SECRET_PLUGINS
        for known in plugin.denylist
    ),
    Detector(API_KEY, _PRIVATE_KEY, _secret),
    Detector(API_KEY, _NEWER_SECRET, _newer_secret),
    Detector(API_KEY, _HUGGING_FACE_TOKEN, _secret),
    Detector(API_KEY, _ASSIGNED_SECRET, _assigned_secret),
    Detector(EMAIL, _EMAIL_PATTERN, _email),
    Detector(IBAN, r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,32}", _iban),
    Detector(CARD, r"\b[0-9](?:[ -]?[0-9]){12,18}\b", _card),
    Detector(IP, r"\b[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\b", _ipv4),
    Detector(IP, r"\b[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]{2,34}", _ipv6),
    Detector(PHONE, _INTERNATIONAL, _international_phone),
    *(Detector(PHONE, pattern, _national_phone) for pattern in _NATIONAL),
    Detector(PHONE, _CALLED_PHONE, _national_phone),
)


def findings(text: str, regions: Sequence[str], detectors: Sequence[Detector] = DETECTORS) -> list[Finding]:
    """The personal data in a text, in order, without overlaps.

    Args:
        text: any text.
        regions: two-letter countries whose phone numbers are known without a country code, such as US.
        detectors: those to ask, in this order.
    """
    claimed: list[Finding] = []
    for found in _proposed(text, regions, detectors):
        if all(found.end <= other.start or found.start >= other.end for other in claimed):
            claimed.append(found)
    return sorted(claimed, key=lambda finding: finding.start)


def _proposed(text: str, regions: Sequence[str], detectors: Sequence[Detector]) -> Iterator[Finding]:
    for detector in detectors:
        for match in re.finditer(detector.pattern, text):
            found = detector.check(match, regions)
            if found:
                yield found
