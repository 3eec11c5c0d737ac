"""What an OpenAPI document is made of: each object, its fields and what may stand in them.

One line an object: ``name: field=shape …``. A shape is a leaf (``text``), an object (``operation``), a list
(``[shape]``) or a mapping with free keys (``{shape}``). ``!`` marks a required field, ``*`` stands for every key that
is not ``x-…``, ``@name`` takes over the fields of another object. Fields that are not listed are not looked at.

Source: Swagger 2.0, OpenAPI 3.0.4, 3.1.1 and 3.2.0, each "Specification"; JSON Schema 2020-12.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from pymacaron.json_types import Json

# What upgraded documents are written in.
TARGET_VERSION: Final = "3.1.1"
METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace", "query")
SCHEMA_TYPES: Final = ("string", "number", "integer", "boolean", "array", "object", "null")


@dataclass(frozen=True, slots=True)
class ObjectRule:
    """The fields of one kind of object, those that it needs, and the shape of keys that have no name."""

    fields: Mapping[str, str]
    required: tuple[str, ...]
    other: str | None


_SCHEMA = """
schema: type=type properties={schema} patternProperties={schema} additionalProperties=schema items=schema
 prefixItems=[schema] allOf=[schema] anyOf=[schema] oneOf=[schema] not=schema if=schema then=schema else=schema
 contains=schema propertyNames=schema unevaluatedItems=schema unevaluatedProperties=schema dependentSchemas={schema}
 $defs={schema} contentSchema=schema dependentRequired={[text]} required=[text] enum=[any] format=text
 pattern=text title=text description=text minimum=number maximum=number exclusiveMinimum=number-or-boolean
 exclusiveMaximum=number-or-boolean multipleOf=number minLength=count maxLength=count minItems=count maxItems=count
 minProperties=count maxProperties=count minContains=count maxContains=count uniqueItems=boolean nullable=boolean
 readOnly=boolean writeOnly=boolean deprecated=boolean discriminator=discriminator externalDocs=external-docs
 xml=any x-nullable=boolean x-mandatory=boolean contentMediaType=text contentEncoding=text
 x-pymacaron-resources=reserved
discriminator: propertyName!=text mapping={text} defaultMapping=text
external-docs: url!=text description=text
contact: name=text url=text email=text
paths: *=path-item
responses: *=response
"""
_OPENAPI_3 = (
    _SCHEMA
    + """
document: openapi!=text info!=info servers=[server] paths=paths webhooks={path-item} components=components
 security=[{[text]}] tags=[tag] externalDocs=external-docs
info: title!=text version!=text description=text summary=text termsOfService=text contact=contact license=license
license: name!=text url=text identifier=text
server: url!=text description=text name=text variables={server-variable}
server-variable: default!=text enum=[text] description=text
path-item: summary=text description=text servers=[server] parameters=[parameter] additionalOperations={operation}
 get=operation put=operation post=operation delete=operation options=operation head=operation patch=operation
 trace=operation query=operation
operation: operationId=text summary=text description=text tags=[text] parameters=[parameter] requestBody=request-body
 responses=responses callbacks={callback} deprecated=boolean security=[{[text]}] servers=[server]
 externalDocs=external-docs x-bind-server=text
parameter: @header name!=text in!=text allowEmptyValue=boolean x-mandatory=boolean
header: description=text required=boolean deprecated=boolean style=text explode=boolean allowReserved=boolean
 schema=schema content={media-type} examples={example}
request-body: description=text content!={media-type} required=boolean
media-type: schema=schema itemSchema=schema examples={example} encoding={encoding}
encoding: contentType=text headers={header} style=text explode=boolean allowReserved=boolean
response: description=text headers={header} content={media-type} links={link}
callback: *=path-item
example: summary=text description=text externalValue=text
link: operationRef=text operationId=text parameters={any} description=text server=server
tag: name!=text summary=text description=text externalDocs=external-docs parent=text kind=text
components: schemas={schema} responses={response} parameters={parameter} examples={example}
 requestBodies={request-body} headers={header} securitySchemes={security-scheme} links={link} callbacks={callback}
 pathItems={path-item}
security-scheme: type!=text description=text name=text in=text scheme=text bearerFormat=text flows=flows
 openIdConnectUrl=text
flows: implicit=flow password=flow clientCredentials=flow authorizationCode=flow deviceAuthorization=flow
flow: authorizationUrl=text tokenUrl=text refreshUrl=text scopes={text}
"""
)
# pymacaron 2 never minded a description that was no text, nor `version: 1.0` without quotes: `label` makes it text.
_SWAGGER_2 = (
    _SCHEMA.replace("discriminator=discriminator", "discriminator=text")
    .replace("=text", "=label")
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


def _read_grammar(text: str) -> dict[str, ObjectRule]:
    rules: dict[str, ObjectRule] = {}
    lines = text.strip().replace("\n ", " ").splitlines()
    # What others take over with @ has to be there first.
    for line in sorted(filter(None, lines), key=lambda line: "@" in line):
        name, _, rest = line.partition(": ")
        fields: dict[str, str] = {}
        required = []
        for word in rest.split():
            if word.startswith("@"):
                fields |= rules[word[1:]].fields
                continue
            key, _, shape = word.partition("=")
            fields[key.rstrip("!")] = shape
            if key.endswith("!"):
                required.append(key.rstrip("!"))
        rules[name] = ObjectRule(fields, tuple(required), fields.pop("*", None))
    return rules


def _with_required(rules: dict[str, ObjectRule], **required: str) -> dict[str, ObjectRule]:
    return rules | {
        name: replace(rules[name], required=(*rules[name].required, field)) for name, field in required.items()
    }


SWAGGER_2: Final = _read_grammar(_SWAGGER_2)
OPENAPI_3_1: Final = _read_grammar(_OPENAPI_3)
OPENAPI_3_0: Final = _with_required(OPENAPI_3_1, document="paths", operation="responses")

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
# Swagger 2.0 has no folder for path items.
PATH_ITEMS_KEY: Final = "x-pymacaron-path-items"
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


# Leaf -> (test, what it must be).
LEAVES: Final[Mapping[str, tuple[Callable[[Json], bool], str]]] = {
    "any": (lambda _node: True, "anything"),
    "reserved": (lambda _node: False, "nothing (the name is pymacaron's own)"),
    "text": (lambda node: isinstance(node, str), "text"),
    "label": (lambda node: not isinstance(node, (dict, list)), "text"),
    "boolean": (lambda node: isinstance(node, bool), "true or false"),
    "number": (_is_number, "a number"),
    "number-or-boolean": (lambda node: isinstance(node, (bool, int, float)), "a number or a boolean"),
    "count": (lambda node: _is_number(node) and node >= 0 and node == int(node), "a count, 0 or more"),
    "type": (_is_type, f"one of {', '.join(SCHEMA_TYPES)}"),
    "type-or-file": (lambda node: node == "file" or _is_type(node), f"one of {', '.join(SCHEMA_TYPES)}, file"),
}
