"""What an OpenAPI document is made of: each object, its fields and what may stand in them.

One line an object: ``name: field=shape …``. A shape is a leaf (``text``), an object (``operation``), a list
(``[shape]``) or a mapping with free keys (``{shape}``). ``!`` marks a required field, ``^3.1`` one that came with that
version, ``*`` stands for every key that is not ``x-…``, ``@name`` takes over the fields of another object.

Source: Swagger 2.0, OpenAPI 3.0.4, 3.1.1 and 3.2.0, each "Specification"; JSON Schema 2020-12.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from pymacaron.json_types import Json

# What upgraded documents are written in.
TARGET_VERSION: Final = "3.1.1"
METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
SCHEMA_TYPES: Final = ("string", "number", "integer", "boolean", "array", "object", "null")


@dataclass(frozen=True, slots=True)
class ObjectRule:
    """The fields of one kind of object, those that it needs, and the shape of keys that have no name.

    later: fields that came with a later version -> that version. is_closed: other fields than these are wrong.
    """

    fields: Mapping[str, str]
    required: tuple[str, ...]
    other: str | None
    later: Mapping[str, str] = field(default_factory=dict)
    is_closed: bool = False


_SCHEMA = """
schema: type=type properties={schema} patternProperties={schema} additionalProperties=schema items=schema
 prefixItems=[schema] allOf=[schema] anyOf=[schema] oneOf=[schema] not=schema if=schema then=schema else=schema
 contains=schema propertyNames=schema unevaluatedItems=schema unevaluatedProperties=schema dependentSchemas={schema}
 $defs={schema} contentSchema=schema dependentRequired={[text]} required=[text] enum=[any] const=any format=text
 pattern=text title=text description=text minimum=number maximum=number exclusiveMinimum=number-or-boolean
 exclusiveMaximum=number-or-boolean multipleOf=number minLength=count maxLength=count minItems=count maxItems=count
 minProperties=count maxProperties=count minContains=count maxContains=count uniqueItems=boolean nullable=boolean
 readOnly=boolean writeOnly=boolean deprecated=boolean discriminator=discriminator externalDocs=external-docs
 xml=xml x-nullable=boolean x-mandatory=boolean contentMediaType=text contentEncoding=text default=any example=any
 examples=any $id=any $schema=any $comment=any $anchor=any $dynamicRef=any $dynamicAnchor=any $vocabulary=any id=any
 definitions=any dependencies=any additionalItems=any x-pymacaron-resources=reserved
discriminator: propertyName!=text mapping={text} defaultMapping=text^3.2
external-docs: url!=url description=text
contact: name=text url=url email=email
xml: name=text namespace=text prefix=text attribute=boolean wrapped=boolean nodeType=text^3.2
paths: *=path-item
responses: *=response
"""
_OPENAPI_3 = (
    _SCHEMA
    + """
document: openapi!=any info!=info servers=[server] paths=paths webhooks={path-item}^3.1 components=components
 security=[{[text]}] tags=[tag] externalDocs=external-docs jsonSchemaDialect=text^3.1 $self=url^3.2
info: title!=text version!=text description=text summary=text^3.1 termsOfService=url contact=contact license=license
license: name!=text url=url identifier=text^3.1
server: url!=server-url description=text name=text^3.2 variables={server-variable}
server-variable: default!=text enum=[text] description=text
path-item: summary=text description=text servers=[server] parameters=[parameter] get=operation put=operation
 post=operation delete=operation options=operation head=operation patch=operation trace=operation query=operation^3.2
 additionalOperations={operation}^3.2
operation: operationId=text summary=text description=text tags=[text] parameters=[parameter] requestBody=request-body
 responses=responses callbacks={callback} deprecated=boolean security=[{[text]}] servers=[server]
 externalDocs=external-docs x-bind-server=text
parameter: @header name!=text in!=text allowEmptyValue=boolean x-mandatory=boolean
header: description=text required=boolean deprecated=boolean style=text explode=boolean allowReserved=boolean
 schema=schema content={media-type} example=any examples={example}
request-body: description=text content!={media-type} required=boolean
media-type: schema=schema itemSchema=schema^3.2 example=any examples={example} encoding={encoding}
 prefixEncoding=[encoding]^3.2 itemEncoding=encoding^3.2
encoding: contentType=text headers={header} style=text explode=boolean allowReserved=boolean encoding={encoding}^3.2
 prefixEncoding=[encoding]^3.2 itemEncoding=encoding^3.2
response: summary=text^3.2 description=text headers={header} content={media-type} links={link}
callback: *=path-item
example: summary=text description=text value=any externalValue=url dataValue=any^3.2 serializedValue=text^3.2
link: operationRef=text operationId=text parameters={any} requestBody=any description=text server=server
tag: name!=text summary=text^3.2 description=text externalDocs=external-docs parent=text^3.2 kind=text^3.2
components: schemas={schema} responses={response} parameters={parameter} examples={example}
 requestBodies={request-body} headers={header} securitySchemes={security-scheme} links={link} callbacks={callback}
 pathItems={path-item}^3.1 mediaTypes={media-type}^3.2
security-scheme: type!=text description=text name=text in=text scheme=text bearerFormat=text flows=flows
 openIdConnectUrl=url oauth2MetadataUrl=url^3.2 deprecated=boolean^3.2
flows: implicit=flow password=flow clientCredentials=flow authorizationCode=flow deviceAuthorization=flow^3.2
flow: authorizationUrl=url tokenUrl=url refreshUrl=url deviceAuthorizationUrl=url^3.2 scopes!={text}
"""
)
# pymacaron 2 never minded a description that was no text, nor `version: 1.0` without quotes: `label` makes it text.
_SWAGGER_2 = (
    _SCHEMA.replace("discriminator=discriminator", "discriminator=text")
    .replace("=text", "=label")
    .replace("=url", "=label")
    .replace("=email", "=label")
    .replace("type=type", "type=type-or-file")
    + """
document: swagger!=any info!=info host=text basePath=text schemes=[text] consumes=[text] produces=[text]
 paths!=paths definitions={schema} parameters={parameter} responses={response} securityDefinitions={security-scheme}
 security=[{[text]}] tags=[tag] externalDocs=external-docs
info: title!=label version!=label description=label termsOfService=label contact=contact license=license
license: name!=label url=label
path-item: parameters=[parameter] get=operation put=operation post=operation delete=operation options=operation
 head=operation patch=operation
operation: operationId=text summary=label description=label tags=[label] parameters=[parameter] consumes=[text]
 produces=[text] responses!=responses deprecated=boolean security=[{[text]}] x-bind-server=text
parameter: @schema name!=text in!=text required=boolean schema=schema collectionFormat=text x-mandatory=boolean
 allowEmptyValue=boolean
header: @schema collectionFormat=text
response: description=label schema=schema headers={header} examples={any}
tag: name!=label description=label externalDocs=external-docs
security-scheme: type!=text description=label name=text in=text flow=text authorizationUrl=text tokenUrl=text
 scopes={label}
"""
)


def _read_grammar(text: str, version: str, *closed: str) -> dict[str, ObjectRule]:
    """Return the rules of one *version*; objects named in *closed* may also have fields that are not listed."""
    rules: dict[str, ObjectRule] = {}
    lines = text.strip().replace("\n ", " ").splitlines()
    # What others take over with @ has to be there first.
    for line in sorted(filter(None, lines), key=lambda line: "@" in line):
        name, _, rest = line.partition(": ")
        fields: dict[str, str] = {}
        required = []
        later = {}
        for word in rest.split():
            if word.startswith("@"):
                fields |= rules[word[1:]].fields
                continue
            key, _, written = word.partition("=")
            shape, _, since = written.partition("^")
            if since > version:
                later[key] = since
                continue
            fields[key.rstrip("!")] = shape
            if key.endswith("!"):
                required.append(key.rstrip("!"))
        other = fields.pop("*", None)
        rules[name] = ObjectRule(fields, tuple(required), other, later, is_closed=other is None and name in closed)
    return rules


def _with_required(rules: dict[str, ObjectRule], **required: str) -> dict[str, ObjectRule]:
    return rules | {
        name: replace(rules[name], required=(*rules[name].required, needed)) for name, needed in required.items()
    }


_CLOSED: Final = (
    *("document", "info", "license", "contact", "server", "server-variable", "path-item", "operation", "parameter"),
    *("header", "request-body", "media-type", "encoding", "response", "example", "link", "tag", "components", "flows"),
    *("security-scheme", "flow", "discriminator", "external-docs", "xml"),
)
SWAGGER_2: Final = _read_grammar(_SWAGGER_2, "2.0")
OPENAPI_3_2: Final = _read_grammar(_OPENAPI_3, "3.2", *_CLOSED)
OPENAPI_3_1: Final = _with_required(_read_grammar(_OPENAPI_3, "3.1", *_CLOSED), response="description")
# Source: OpenAPI 3.0, "Schema Object": fields are those listed there and x-…; JSON Schema's are let pass.
OPENAPI_3_0: Final = _with_required(
    _read_grammar(_OPENAPI_3, "3.0", *_CLOSED, "schema"),
    document="paths",
    operation="responses",
    response="description",
)

# Where the parts that a $ref may name usually stand: kind of object -> folder of the document.
FOLDERS_3: Final[Mapping[str, tuple[str, ...]]] = {
    "schema": ("components", "schemas"),
    "response": ("components", "responses"),
    "parameter": ("components", "parameters"),
    "example": ("components", "examples"),
    "request-body": ("components", "requestBodies"),
    "header": ("components", "headers"),
    "security-scheme": ("components", "securitySchemes"),
    "link": ("components", "links"),
    "callback": ("components", "callbacks"),
    "path-item": ("components", "pathItems"),
}
FOLDERS_3_2: Final = {**FOLDERS_3, "media-type": ("components", "mediaTypes")}
# Swagger 2.0 has no folder for path items.
PATH_ITEMS_KEY: Final = "x-pymacaron-path-items"
# Marks a parameter whose style only Swagger 2.0 has in that place: lists in headers and paths without commas, and tabs.
OWN_STYLE: Final = "x-pymacaron-collection-format"
FOLDERS_2: Final[Mapping[str, tuple[str, ...]]] = {
    "schema": ("definitions",),
    "response": ("responses",),
    "parameter": ("parameters",),
    "path-item": (PATH_ITEMS_KEY,),
}


def _is_number(node: Json) -> bool:
    return isinstance(node, (int, float)) and not isinstance(node, bool)


def _is_type(node: Json) -> bool:
    types = node if isinstance(node, list) else [node]
    return bool(types) and all(isinstance(name, str) and name in SCHEMA_TYPES for name in types)


# Source: RFC 3986, section 2; letters of other scripts are let pass, as in RFC 3987.
_NO_URL = re.compile(r"[\s<>\"\\^`{|}]")
_TEMPLATE = re.compile(r"\{[^{}]+\}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


def _is_url(node: Json) -> bool:
    return isinstance(node, str) and not _NO_URL.search(node)


def _is_server_url(node: Json) -> bool:
    return isinstance(node, str) and _is_url(_TEMPLATE.sub("", node))


# Leaf -> (test, what it must be).
LEAVES: Final[Mapping[str, tuple[Callable[[Json], bool], str]]] = {
    "any": (lambda _node: True, "anything"),
    "reserved": (lambda _node: False, "nothing (the name is pymacaron's own)"),
    "text": (lambda node: isinstance(node, str), "text"),
    "label": (lambda node: not isinstance(node, (dict, list)), "text"),
    "url": (_is_url, "a URL"),
    "server-url": (_is_server_url, "a URL"),
    "email": (lambda node: isinstance(node, str) and bool(_EMAIL.fullmatch(node)), "an email address"),
    "boolean": (lambda node: isinstance(node, bool), "true or false"),
    "number": (_is_number, "a number"),
    "number-or-boolean": (lambda node: isinstance(node, (bool, int, float)), "a number or a boolean"),
    "count": (lambda node: _is_number(node) and node >= 0 and node == int(node), "a count, 0 or more"),
    "type": (_is_type, f"one of {', '.join(SCHEMA_TYPES)}"),
    "type-or-file": (lambda node: node == "file" or _is_type(node), f"one of {', '.join(SCHEMA_TYPES)}, file"),
}
