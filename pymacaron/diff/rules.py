"""What each kind of difference is called, how bad it is, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass

from pymacaron.diff.change import Breaks, Severity


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of difference between two schemas.

    tightened, loosened, changed: name of it where the new schema takes less, more, or other values than the old one;
    the rule is that name after ``request-`` or ``answer-``. request: how bad it is that requests are refused which
    were accepted; answer: that answers come which were ruled out. fix_request, fix_answer: what to do then.
    """

    tightened: str
    loosened: str
    changed: str
    request: Severity = "breaking"
    answer: Severity = "breaking"
    fix_request: str = "Accept what was accepted"
    fix_answer: str = "Keep to what was promised"
    why_request: str = ""
    why_answer: str = ""


KINDS = {
    "type": Kind("type-narrowed", "type-widened", "type-changed"),
    # properties without type: object: strictly anything but an object is right, but nobody means that.
    "implied-type": Kind("type-narrowed", "type-widened", "type-changed", request="undecided", answer="undecided"),
    "null": Kind("null-refused", "null-allowed", "null-changed"),
    "enum": Kind("enum-added", "enum-removed", "enum-changed", answer="undecided"),
    # As in oasdiff: clients that handle unknown values live with one more.
    "value": Kind(
        "enum-value-removed",
        "enum-value-added",
        "enum-changed",
        answer="undecided",
        fix_request="Keep the value",
        fix_answer="Make sure that clients handle values that they do not know",
    ),
    "bound": Kind("bound-tightened", "bound-loosened", "bound-changed"),
    "pattern": Kind("pattern-added", "pattern-removed", "pattern-changed", answer="undecided"),
    "format": Kind("format-added", "format-removed", "format-changed"),
    "annotation": Kind("format-added", "format-removed", "format-changed", request="undecided", answer="undecided"),
    "required": Kind(
        "property-required",
        "property-optional",
        "property-changed",
        fix_request="Keep it optional",
        fix_answer="Always send it",
        why_request="a client that leaves it out is refused",
        why_answer="a client may get an answer without it",
    ),
    "property": Kind(
        "property-refused",
        "property-allowed",
        "property-changed",
        fix_request="Accept it still",
        why_request="a client that sends it is refused",
    ),
    "closed": Kind(
        "object-closed",
        "object-opened",
        "object-changed",
        answer="undecided",
        why_request="a client that sends others is refused",
        why_answer="a client may get others, which strict clients refuse",
    ),
    "variant": Kind("variant-removed", "variant-added", "variant-changed"),
    "condition": Kind("condition-added", "condition-removed", "condition-changed"),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A difference that is always the same: its severity, whom it breaks, why, and what to do."""

    severity: Severity
    breaks: Breaks = ""
    why: str = ""
    fix: str = ""


RULES = {
    # The document
    "base-path-changed": Rule(
        "breaking", "client", "clients that know the old address find nothing", "Keep a server with the old path"
    ),
    "server-added": Rule("non-breaking"),
    "server-removed": Rule("non-breaking"),
    "slo-loosened": Rule("non-breaking"),
    "slo-tightened": Rule("non-breaking"),
    # Operations
    "operation-added": Rule("non-breaking"),
    "operation-removed": Rule(
        "breaking",
        "client",
        "clients that call it get 404 or 405",
        "Keep it, deprecated, with the day of its end as x-sunset, until that day",
    ),
    "operation-removed-before-sunset": Rule(
        "breaking", "client", "clients may call it until then", "Keep it until that day"
    ),
    "operation-removed-after-sunset": Rule("non-breaking"),
    "operation-deprecated": Rule("non-breaking"),
    "operation-reactivated": Rule("non-breaking"),
    "sunset-earlier": Rule(
        "undecided", "client", "clients that planned by the old day may be late", "Keep the day that was announced"
    ),
    "operation-id-changed": Rule(
        "breaking",
        "client",
        "generated clients lose the function of the old name, and the server's handler is looked up by the new one",
        "Keep the operationId",
    ),
    "operation-id-added": Rule("non-breaking"),
    # Parameters
    "parameter-added": Rule("non-breaking"),
    "required-parameter-added": Rule(
        "breaking", "client", "requests of today's clients lack it and are refused", "Make it optional"
    ),
    "parameter-removed": Rule(
        "breaking",
        "client",
        "what clients send in it has no effect any more, and generated clients lose the argument",
        "Keep it",
    ),
    "parameter-required": Rule("breaking", "client", "clients that leave it out are refused", "Keep it optional"),
    "parameter-optional": Rule("non-breaking"),
    "parameter-moved": Rule("breaking", "client", "clients send it in the old place", "Take it from both places"),
    "parameter-style-changed": Rule(
        "breaking", "client", "clients write its value in the old way, which is misread now", "Keep style and explode"
    ),
    # Request bodies
    "body-added": Rule("non-breaking"),
    "required-body-added": Rule(
        "breaking", "client", "requests of today's clients have none and are refused", "Make it optional"
    ),
    "body-removed": Rule(
        "breaking", "client", "what clients send in it has no effect any more, or is refused", "Take it still"
    ),
    "body-required": Rule("breaking", "client", "clients that send none are refused", "Keep it optional"),
    "body-optional": Rule("non-breaking"),
    "request-media-type-removed": Rule(
        "breaking", "client", "clients that send it get 415", "Accept that media type still"
    ),
    "request-media-type-added": Rule("non-breaking"),
    "request-encoding-changed": Rule(
        "breaking", "client", "clients write that field in the old way", "Keep the encoding of the field"
    ),
    # Answers
    "status-removed": Rule(
        "breaking", "client", "clients take that status for success, and no other", "Answer with that status still"
    ),
    "error-status-removed": Rule("non-breaking"),
    "status-added": Rule("non-breaking"),
    "answer-body-added": Rule("non-breaking"),
    "answer-body-removed": Rule("breaking", "client", "clients read the body", "Send the body still"),
    "answer-body-no-longer-declared": Rule(
        "undecided",
        "client",
        "the old document declared one for all such statuses, and clients may read it",
        "Declare the body, or be sure that nobody reads it",
    ),
    "answer-media-type-removed": Rule(
        "breaking", "client", "clients that accept only that get 406, or what they cannot read", "Offer it still"
    ),
    "answer-media-type-added": Rule("non-breaking"),
    "header-added": Rule("non-breaking"),
    "required-header-removed": Rule("breaking", "client", "clients rely on it being there", "Send it still"),
    # As in oasdiff: an optional header may have been absent before, too.
    "header-removed": Rule(
        "undecided", "client", "clients that use it must do without it now", "Send it, or make sure that nobody uses it"
    ),
    "header-optional": Rule("breaking", "client", "clients rely on it being there", "Always send it"),
    "header-required": Rule("non-breaking"),
    # Properties and defaults
    "request-property-added": Rule("non-breaking"),
    "request-property-removed": Rule(
        "undecided",
        "client",
        "clients may send it still, and whether the server does anything with it is not in the documents",
        "Keep it, or make sure that nobody sends it",
    ),
    "request-closed-by-version": Rule(
        "undecided",
        "client",
        "pymacaron refuses them in documents of Swagger 2.0, other servers need not",
        "Allow them with additionalProperties: true",
    ),
    "request-property-became-read-only": Rule(
        "undecided",
        "client",
        "clients that send it are ignored or refused",
        "Keep it writable, or make sure that nobody sends it",
    ),
    "request-property-became-writable": Rule("non-breaking"),
    "answer-property-added": Rule("non-breaking"),
    "answer-property-added-to-closed-object": Rule(
        "undecided",
        "client",
        "the old document says that there are no other properties, and strict clients refuse them",
        "Leave objects open in answers",
    ),
    "answer-required-property-removed": Rule(
        "breaking", "client", "clients rely on it being there", "Send it still"
    ),
    # As in oasdiff: an optional property may have been absent before, too.
    "answer-property-removed": Rule(
        "undecided", "client", "clients that read it must do without it now", "Send it, or be sure that nobody reads it"
    ),
    "answer-property-became-write-only": Rule(
        "undecided", "client", "clients that read it must do without it now", "Send it, or be sure that nobody reads it"
    ),
    "answer-required-property-became-write-only": Rule(
        "breaking", "client", "clients rely on it being there", "Send it still"
    ),
    "answer-property-became-readable": Rule("non-breaking"),
    "request-default-changed": Rule(
        "breaking", "client", "clients that leave it out get another effect than before", "Keep the default"
    ),
    "request-default-added": Rule(
        "undecided",
        "client",
        "what the server did without it is not in the old document",
        "Make sure that the default is what was done before",
    ),
    "request-default-removed": Rule(
        "undecided",
        "client",
        "what the server does without it is not in the new document",
        "Keep the default in the document",
    ),
    "request-discriminator-changed": Rule(
        "breaking", "client", "clients name the variant in the old property", "Keep the discriminator"
    ),
    "answer-discriminator-changed": Rule(
        "breaking", "client", "clients look for the variant in the old property", "Keep the discriminator"
    ),
    "request-discriminator-value-removed": Rule(
        "breaking", "client", "clients that name the variant so are refused", "Keep the value"
    ),
    "answer-discriminator-value-added": Rule(
        "undecided", "client", "clients do not know what it names", "Make sure that clients handle it"
    ),
    "discriminator-added": Rule("non-breaking"),
    "discriminator-removed": Rule(
        "undecided", "client", "clients that choose a variant by it have to look at the rest", "Keep the discriminator"
    ),
    # Security
    "security-added": Rule(
        "breaking", "client", "clients that send no credentials get 401", "Let anonymous clients in still"
    ),
    "security-removed": Rule("non-breaking"),
    "security-alternative-removed": Rule(
        "breaking", "client", "clients that authenticate in that way get 401", "Keep that alternative"
    ),
    "security-alternative-added": Rule("non-breaking"),
    "security-scope-added": Rule(
        "breaking", "client", "tokens without it get 403", "Ask for no more scopes than before"
    ),
    "security-scope-removed": Rule("non-breaking"),
    "security-scheme-changed": Rule(
        "breaking", "client", "clients send credentials in the old way and get 401", "Keep the scheme and add another"
    ),
    "too-large": Rule(
        "undecided", "client", "its parts are too many to be compared one by one", "Compare it by hand"
    ),
}  # fmt: skip
