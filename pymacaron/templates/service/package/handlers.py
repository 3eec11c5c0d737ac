"""One function for each operation of apis/{{ package }}.yaml, named by its operationId."""

from __future__ import annotations

from pymacaron.exceptions import PyMacaronException

from apis.{{ package }}_models import Item, ItemPage, NewItem
from {{ package }}.store import DATA_FOLDER, ItemStore

store = ItemStore(DATA_FOLDER)


class ItemNotFoundError(PyMacaronException):
    """There is no item of that number."""

    code = "ITEM_NOT_FOUND"
    status = 404


def list_items(limit: int, offset: int) -> ItemPage:
    """Return a page of items, oldest first."""
    return ItemPage(items=store.page(limit, offset), total=store.count())


def create_item(body: NewItem) -> tuple[Item, int, dict[str, str]]:
    """Keep a new item."""
    item = store.add(body)
    return item, 201, {"Location": f"/items/{item.id}"}


def get_item(item_id: int) -> Item:
    """Return one item."""
    item = store.get(item_id)
    if item is None:
        raise ItemNotFoundError(f"There is no item {item_id}")
    return item


def replace_item(body: NewItem, item_id: int) -> Item:
    """Replace everything that callers say about an item."""
    item = store.replace(item_id, body)
    if item is None:
        raise ItemNotFoundError(f"There is no item {item_id}")
    return item


def delete_item(item_id: int) -> None:
    """Delete one item."""
    if not store.delete(item_id):
        raise ItemNotFoundError(f"There is no item {item_id}")
