"""What each defect of defects.yaml changes: a function of its name, which asks the service and returns what it saw."""

import random
import time

ADDRESS = {"name": "Here", "street": "Road 1", "city": "Town", "country": "DE"}
ORIGIN = "https://example.com"


def _sku():
    return f"{''.join(random.choices('ABCDEFGHIJKLMNOPQRSTUVWXYZ', k=3))}-{random.randint(100000, 999999)}"


def _create(http, **fields):
    """Create a product and return the answer."""
    product = {"sku": _sku(), "name": "Thing", "category": "tools", "price_cents": 100, **fields}
    return http.post("/v1/products", json=product)


def _product(http, **fields):
    return f"/v1/products/{_create(http, **fields).json()['sku']}"


def _place(http, **fields):
    """Place an order and return the answer."""
    return http.post("/v1/orders", json={"items": [{"sku": "TEA-0001", "quantity": 1}], **fields})


def _order(http, **fields):
    return f"/v1/orders/{_place(http, **fields).json()['id']}"


def _address(http, **fields):
    return f"/v1/addresses/{http.post('/v1/addresses', json={**ADDRESS, **fields}).json()['id']}"


def _changed(http, path, **fields):
    """Return what one reads after a change."""
    http.patch(path, json=fields)
    return http.get(path).json()


def _listed(http, field, **query):
    return [product[field] for product in http.get("/v1/products", params=query).json()]


def _send_text(http, path, body, media_type="application/json"):
    return http.post(path, data=body, headers={"Content-Type": media_type})


def null_phone_crashes(http):
    return http.as_user("alice").patch("/v1/account", json={"phone": None}).status_code


def empty_gift_message_crashes(http):
    return _place(http.as_user("alice"), gift_message="").status_code


def missing_day_crashes(http):
    return _place(http.as_user("alice")).status_code


def repeated_q_crashes(http):
    return http.as_user("alice").get("/v1/products?q=a&q=b").status_code


def unknown_sort_crashes(http):
    return http.as_user("alice").get("/v1/products?sort=colour").status_code


def q_decoded_twice(http):
    return http.as_user("alice").get("/v1/products", params={"q": "100%"}).status_code


def reference_in_header_crashes(http):
    alice = http.as_user("alice")
    return alice.get(_order(alice, reference="Заказ") + "/receipt").status_code


def malformed_json_crashes(http):
    return _send_text(http.as_user("alice"), "/v1/products", "{").status_code


def text_body_crashes(http):
    return _send_text(http.as_user("alice"), "/v1/addresses", "{}", "text/plain").status_code


def list_without_total(http):
    return sorted(http.as_user("alice").get("/v1/orders").json()["orders"][0])


def ids_as_text_in_list(http):
    return type(http.as_user("alice").get("/v1/orders").json()["orders"][0]["id"]).__name__


def weight_null(http):
    return _create(http.as_user("alice")).json()["weight_kg"]


def placed_at_local(http):
    return _place(http.as_user("alice")).json()["placed_at"][-1]


def total_not_rounded(http):
    return _place(http.as_user("alice"), discount_percent=33.3).json()["total_cents"]


def create_answers_200(http):
    return _create(http.as_user("alice")).status_code


def missing_order_as_html(http):
    return http.as_user("alice").get("/v1/orders/999999999").headers["Content-Type"]


def forbidden_as_text(http):
    product = {"name": "Thing", "category": "tools", "price_cents": 1}
    return sorted(http.as_user("bob").put(_product(http.as_user("alice")), json=product).json())


def shipped_redirects(http):
    alice = http.as_user("alice")
    return alice.get(_order(alice, express=True)).status_code


def empty_name_accepted(http):
    return _create(http.as_user("alice"), name="").status_code


def sku_start_not_anchored(http):
    return _create(http.as_user("alice"), sku=f"new {_sku()}").status_code


def garden_refused(http):
    return _create(http.as_user("alice"), category="garden").status_code


def zero_price_refused(http):
    return _create(http.as_user("alice"), price_cents=0).status_code


def price_text_accepted(http):
    return _create(http.as_user("alice"), price_cents="12").status_code


def largest_quantity_refused(http):
    return _place(http.as_user("alice"), items=[{"sku": "TEA-0001", "quantity": 999}]).status_code


def quantity_not_required(http):
    return _place(http.as_user("alice"), items=[{"sku": "TEA-0001"}]).status_code


def null_reference_refused(http):
    alice = http.as_user("alice")
    return alice.patch(_order(alice), json={"reference": None}).status_code


def days_roll_over(http):
    return _place(http.as_user("alice"), deliver_on="2026-02-31").status_code


def country_in_any_case(http):
    return http.as_user("alice").post("/v1/addresses", json={**ADDRESS, "country": "de"}).status_code


def city_not_required(http):
    address = {name: value for name, value in ADDRESS.items() if name != "city"}
    return http.as_user("alice").post("/v1/addresses", json=address).status_code


def form_topic_unchecked(http):
    form = {"subject": "Hello", "message": "World", "topic": "weather"}
    return http.as_user("alice").post("/v1/contact", data=form).status_code


def per_page_maximum_unchecked(http):
    return http.as_user("alice").get("/v1/products?per_page=51").status_code


def page_text_is_one(http):
    return http.as_user("alice").get("/v1/orders?page=one").status_code


def receipt_without_key(http):
    return http.get("/v1/orders/1/receipt").status_code


def contact_without_key(http):
    return http.post("/v1/contact", data={"subject": "Hello", "message": "World"}).status_code


def expired_key_accepted(http):
    return http.with_header(http.service.refused[0]).get("/v1/account").status_code


def disabled_key_accepted(http):
    return http.with_header(http.service.refused[1]).get("/v1/account").status_code


def test_key_accepted(http):
    return http.with_header(http.service.refused[2]).get("/v1/account").status_code


def key_beginning_accepted(http):
    return http.with_header(http.service.users["alice"][:-3]).get("/v1/account").status_code


def key_in_any_case(http):
    name, value = http.service.users["alice"].split(": ")
    return http.with_header(f"{name}: {value.upper()}").get("/v1/account").status_code


def order_readable_by_all(http):
    return http.as_user("bob").get(_order(http.as_user("alice"))).status_code


def order_patchable_by_all(http):
    return http.as_user("bob").patch(_order(http.as_user("alice")), json={"note": "mine"}).status_code


def order_deletable_by_all(http):
    return http.as_user("bob").delete(_order(http.as_user("alice"))).status_code


def receipt_readable_by_all(http):
    return http.as_user("bob").get(_order(http.as_user("alice")) + "/receipt").status_code


def address_readable_by_all(http):
    return http.as_user("bob").get(_address(http.as_user("alice"))).status_code


def address_replaceable_by_all(http):
    return http.as_user("bob").put(_address(http.as_user("alice")), json=ADDRESS).status_code


def list_shows_all_addresses(http):
    address = _address(http.as_user("alice"))
    return address in {f"/v1/addresses/{one['id']}" for one in http.as_user("bob").get("/v1/addresses").json()}


def status_shows_all_customers(http):
    order = _order(http.as_user("alice"))
    return order in {
        f"/v1/orders/{one['id']}" for one in http.as_user("bob").get("/v1/orders?status=open").json()["orders"]
    }


def product_deletable_by_all(http):
    return http.as_user("bob").delete(_product(http.as_user("alice"))).status_code


def orders_cached_for_all(http):
    alice = http.as_user("alice")
    order = _order(alice)
    alice.get(order)
    return http.as_user("bob").get(order).status_code


def category_not_replaced(http):
    alice = http.as_user("alice")
    product = _product(alice)
    alice.put(product, json={"name": "Thing", "category": "books", "price_cents": 1})
    return alice.get(product).json()["category"]


def created_note_not_stored(http):
    alice = http.as_user("alice")
    return alice.get(_order(alice, note="Ring twice")).json()["note"]


def reference_not_stored(http):
    alice = http.as_user("alice")
    return _changed(alice, _order(alice), reference="A1")["reference"]


def express_false_ignored(http):
    alice = http.as_user("alice")
    return _changed(alice, _order(alice, express=True), express=False)["express"]


def marketing_false_ignored(http):
    alice = http.as_user("alice")
    return [_changed(alice, "/v1/account", marketing=value)["marketing"] for value in (True, False)]


def patch_resets_gift_message(http):
    alice = http.as_user("alice")
    return _changed(alice, _order(alice, gift_message="For you"), note="Ring twice")["gift_message"]


def read_only_fields_writable(http):
    alice = http.as_user("alice")
    return _changed(alice, _order(alice), total_cents=1, note="cheap")["total_cents"]


def long_note_cut(http):
    return len(_place(http.as_user("alice"), note="x" * 300).json()["note"])


def price_in_32_bits(http):
    return _create(http.as_user("alice"), price_cents=2**31).json()["price_cents"]


def weight_rounded(http):
    return _create(http.as_user("alice"), weight_kg=0.125).json()["weight_kg"]


def put_keeps_line2(http):
    alice = http.as_user("alice")
    address = _address(alice, line2="Second floor")
    alice.put(address, json=ADDRESS)
    return alice.get(address).json()["line2"]


def deleted_order_stays(http):
    alice = http.as_user("alice")
    order = _order(alice)
    alice.delete(order)
    return alice.get(order).status_code


def delete_removes_another(http):
    alice = http.as_user("alice")
    addresses = [_address(alice) for _ in range(2)]
    alice.delete(addresses[1])
    return [alice.get(address).status_code for address in addresses]


def order_ids_reused(http):
    alice = http.as_user("alice")
    first, last = _order(alice), _order(alice)
    alice.delete(first)
    return _order(alice) == last


def idempotency_key_ignored(http):
    alice = http.as_user("alice")
    body, headers = {"items": [{"sku": "TEA-0001", "quantity": 1}]}, {"Idempotency-Key": _sku()}
    first, second = (alice.post("/v1/orders", json=body, headers=headers).json()["id"] for _ in range(2))
    return first == second


def if_match_ignored(http):
    alice = http.as_user("alice")
    body = {"name": "Thing", "category": "tools", "price_cents": 1}
    return alice.put(_product(alice), json=body, headers={"If-Match": '"other"'}).status_code


def etag_ignores_stock(http):
    alice = http.as_user("alice")
    product = _product(alice)
    before = alice.get(product).headers["ETag"]
    alice.post(product + "/stock", json={"delta": 1})
    return alice.get(product).headers["ETag"] == before


def stock_updates_lost(http):
    alice = http.as_user("alice")
    product = _product(alice)
    http.at_once("alice", lambda user: user.post(product + "/stock", json={"delta": 1}))
    return alice.get(product).json()["stock"]


def order_ids_race(http):
    return len(set(http.at_once("alice", _order)))


def sku_taken_twice(http):
    sku = _sku()
    return sum(answer.ok for answer in http.at_once("alice", lambda user: _create(user, sku=sku)))


def per_page_ignored(http):
    return len(_listed(http.as_user("alice"), "sku", per_page=2))


def pages_overlap(http):
    pages = [_listed(http.as_user("alice"), "sku", per_page=2, page=page) for page in (1, 2)]
    return set(pages[0]) & set(pages[1])


def first_page_twice(http):
    alice = http.as_user("alice")
    pages = [alice.get(f"/v1/orders?per_page=1&page={page}").json()["orders"][0]["id"] for page in (1, 2)]
    return pages[0] == pages[1]


def total_of_page(http):
    return http.as_user("alice").get("/v1/products?per_page=1").headers["X-Total-Count"] == "1"


def price_sorted_as_text(http):
    prices = _listed(http.as_user("alice"), "price_cents", sort="price_cents", per_page=50)
    return prices == sorted(prices)


def desc_ignored(http):
    prices = _listed(http.as_user("alice"), "price_cents", sort="price_cents", order="desc", per_page=50)
    return prices == sorted(prices, reverse=True)


def in_stock_false_is_true(http):
    return {stock > 0 for stock in _listed(http.as_user("alice"), "stock", in_stock="false", per_page=50)}


def max_price_excluded(http):
    return _listed(http.as_user("alice"), "sku", max_price=1250, min_price=1250)


def category_of_page_only(http):
    return len(_listed(http.as_user("alice"), "sku", category="kitchen", per_page=1))


def q_is_case_sensitive(http):
    return _listed(http.as_user("alice"), "sku", q="TEAPOT")


def first_status_only(http):
    return bool(http.as_user("alice").get("/v1/orders?status=paid,open").json()["orders"])


def placed_from_ignored(http):
    return len(http.as_user("alice").get("/v1/orders?placed_from=2999-01-01").json()["orders"])


def head_answers_404(http):
    alice = http.as_user("alice")
    return alice.request("HEAD", _order(alice)).status_code


def preflight_without_key_header(http):
    headers = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": "x-api-key",
    }
    return http.request("OPTIONS", "/v1/account", headers=headers).headers.get("Access-Control-Allow-Headers")


def allow_missing(http):
    return http.as_user("alice").delete("/v1/account").headers.get("Allow")


def accept_ignored(http):
    alice = http.as_user("alice")
    return alice.get(_order(alice) + "/receipt", headers={"Accept": "application/json"}).headers["Content-Type"]


def location_without_base(http):
    alice = http.as_user("alice")
    return alice.get(_create(alice).headers["Location"]).status_code


def one_read_in_twenty_slow(http):
    alice = http.as_user("alice")
    order = _order(alice)
    started = time.monotonic()
    for _ in range(20):
        alice.get(order)
    return time.monotonic() - started > 0.9


def large_page_slow(http):
    started = time.monotonic()
    http.as_user("alice").get("/v1/products?per_page=50")
    return time.monotonic() - started > 0.9


def parser_stack_shown(http):
    return "at JSON.parse" in _send_text(http.as_user("alice"), "/v1/products", "{").json()["message"]


def conflict_shows_database(http):
    return "E11000" in _create(http.as_user("alice"), sku="HAM-0003").json()["message"]


def key_hash_shown(http):
    return sorted(http.as_user("alice").get("/v1/account").json())
