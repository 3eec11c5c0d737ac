"""What is sent to DynamoDB for a query."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pymacaron.persistence.dynamodb_items import (
    Item,
    partition_attribute,
    sort_attribute,
    to_attribute,
    to_key,
    write_partition,
)
from pymacaron.persistence.layout import Layout
from pymacaron.persistence.query import Condition, Query
from pymacaron.persistence.rows import now_of
from pymacaron.persistence.sort_text import BEHIND_END, END, join_sorted, write_sorted

_FILTERED_PAGE = 200


@dataclass(slots=True)
class Expression:
    """Collects the names and values that the texts of expressions stand on.

    Source: DynamoDB API reference, "ExpressionAttributeNames": any name may be a reserved word.
    """

    names: dict[str, str] = field(default_factory=dict)
    values: Item = field(default_factory=dict)

    def name(self, attribute: str) -> str:
        """Return what stands for the attribute of that name."""
        for key, known in self.names.items():
            if known == attribute:
                return key
        key = f"#n{len(self.names)}"
        self.names[key] = attribute
        return key

    def value(self, value: dict[str, Any]) -> str:
        """Return what stands for the typed value."""
        key = f":v{len(self.values)}"
        self.values[key] = value
        return key

    def as_parameters(self) -> dict[str, Any]:
        """Return the parameters of the call."""
        parameters: dict[str, Any] = {}
        if self.names:
            parameters["ExpressionAttributeNames"] = self.names
        if self.values:
            parameters["ExpressionAttributeValues"] = self.values
        return parameters


def write_query(query: Query) -> tuple[str, dict[str, Any]]:
    """Return the operation, ``query`` or ``scan``, and its parameters without the table's name."""
    expression = Expression()
    parameters: dict[str, Any] = {"Limit": query.limit + 1}
    conditions = list(query.conditions)
    if query.index or query.partition:
        keys = [_partition_condition(query, expression)]
        sorted_by = next((each for each in conditions if each.field is query.sort), None)
        if sorted_by is not None and (query.index is None or sorted_by.value is not None):
            conditions.remove(sorted_by)
            keys.append(_sort_condition(query, sorted_by, expression))
        parameters |= {
            "KeyConditionExpression": " AND ".join(keys),
            "ScanIndexForward": not query.is_descending,
        }
    filters = [_compare(each, expression) for each in conditions]
    if query.layout.ttl:
        filters.append(is_alive(query.layout, expression))
    if filters:
        parameters |= {"FilterExpression": " AND ".join(filters), "Limit": max(query.limit + 1, _FILTERED_PAGE)}
    if query.index:
        parameters["IndexName"] = query.index.name
    else:
        parameters["ConsistentRead"] = True
    if query.after is not None:
        parameters["ExclusiveStartKey"] = _start_key(query)
    return "query" if query.index or query.partition else "scan", parameters | expression.as_parameters()


def is_alive(layout: Layout, expression: Expression) -> str:
    """Return the condition that an object's time is not over."""
    assert layout.ttl is not None
    name, now = expression.name(layout.ttl.column), expression.value(to_attribute(layout.ttl, now_of(layout)))
    return f"(attribute_not_exists({name}) OR {name} > {now})"


def _partition_condition(query: Query, expression: Expression) -> str:
    if query.index:
        value = query.partition.value if query.partition else None
        text = {"S": write_partition(query.index, value)}
        return f"{expression.name(partition_attribute(query.index))} = {expression.value(text)}"
    assert query.partition is not None
    first = query.layout.key[0]
    return f"{expression.name(first.column)} = {expression.value(to_attribute(first, query.partition.value))}"


def _sort_condition(query: Query, condition: Condition, expression: Expression) -> str:
    if query.index is None:
        return _compare(condition, expression)
    name = expression.name(sort_attribute(query.index))

    def text(value: Any, end: str) -> str:
        return expression.value({"S": write_sorted(condition.field, value) + end})

    value = condition.value
    match condition.operator:
        case "=":
            return f"begins_with({name}, {text(value, END)})"
        case "starts_with":
            return f"begins_with({name}, {text(value, '')})"
        case "between":
            return f"{name} BETWEEN {text(value[0], '')} AND {text(value[1], BEHIND_END)}"
        case "<" | ">=":
            return f"{name} {condition.operator} {text(value, '')}"
    return f"{name} {'<' if condition.operator == '<=' else '>'} {text(value, BEHIND_END)}"


def _compare(condition: Condition, expression: Expression) -> str:
    name, value = expression.name(condition.field.column), condition.value
    if value is None:
        return f"(attribute_not_exists({name}) OR {name} = {expression.value({'NULL': True})})"

    def operand(each: Any) -> str:
        return expression.value(to_attribute(condition.field, each))

    match condition.operator:
        case "in":
            return f"{name} IN ({', '.join(operand(each) for each in value)})"
        case "between":
            return f"{name} BETWEEN {operand(value[0])} AND {operand(value[1])}"
        case "starts_with":
            return f"begins_with({name}, {operand(value)})"
    return f"{name} {condition.operator} {operand(value)}"


def _start_key(query: Query) -> Item:
    """Return the key behind which the answer begins, as if DynamoDB had named it."""
    assert query.after is not None
    keys = query.after[-len(query.layout.key) :]
    start = to_key(query.layout, keys)
    if query.index:
        partition = query.partition.value if query.partition else None
        start[partition_attribute(query.index)] = {"S": write_partition(query.index, partition)}
        start[sort_attribute(query.index)] = {"S": join_sorted(query.position_fields, query.after)}
    return start
