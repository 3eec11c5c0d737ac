// Orders: private to the customer.
const express = require("express");
const planted = require("./planted");
const store = require("./store");
const { ShopError, invalid, notFound } = require("./errors");
const read = require("./read");

const STATUSES = ["open", "paid", "shipped"];
const cached = new Map();
const answers = new Map();
let reads = 0;

const quantity = read.whole(1, planted("largest_quantity_refused") ? 998 : 999);
const item = (value, name) =>
  read.readFields(value, { sku: { check: read.matching(/^[A-Z]{3}-[0-9]{4,6}$/), required: true }, quantity: { check: quantity, required: !planted("quantity_not_required"), fallback: 1 } }, { prefix: name });

const gift = (value, name) => {
  const message = read.nullable(read.text(0, 200))(value, name);
  if (planted("empty_gift_message_crashes") && message !== null) process.emit("gift", message[0].toUpperCase());
  return message;
};

const note = (value, name) => {
  if (planted("long_note_cut")) return read.text(0, 300)(value, name).slice(0, 255);
  return read.text(0, 300)(value, name);
};

const CHANGES = {
  note: { check: note, fallback: "" },
  gift_message: { check: gift, fallback: null },
  reference: { check: planted("null_reference_refused") ? read.text(1, 40) : read.nullable(read.text(1, 40)), fallback: null },
  express: { check: read.flag, fallback: false },
  deliver_on: { check: read.nullable(read.date), fallback: null },
};
const FIELDS = {
  items: { check: read.list(1, 10, item), required: true },
  discount_percent: { check: read.number(0, 100), fallback: 0 },
  ...CHANGES,
};

function show(order) {
  const { customer, ...shown } = order;
  if (planted("placed_at_local")) shown.placed_at = new Date(order.placed_at).toLocaleString("en-GB");
  return shown;
}

function find(req, leniency = false) {
  const { id } = req.params;
  const order = /^[1-9][0-9]{0,15}$/.test(id) ? store.orders.get(Number(id)) : undefined;
  if (!order || (order.customer !== req.user && !leniency)) throw notFound("order");
  return order;
}

function listOrders(req, res) {
  const { page, perPage } = read.readPage(req);
  const wanted = read.readQuery(req, "status", (value, name) => value.split(",").map((one) => read.oneOf(STATUSES)(one, name)));
  const from = read.readQuery(req, "placed_from", read.date);
  let items = [...store.orders.values()];
  if (!(planted("status_shows_all_customers") && wanted)) items = items.filter((order) => order.customer === req.user);
  if (wanted) items = items.filter((order) => (planted("first_status_only") ? order.status === wanted[0] : wanted.includes(order.status)));
  if (from && !planted("placed_from_ignored")) items = items.filter((order) => order.placed_at.slice(0, 10) >= from);
  items.sort((a, b) => b.id - a.id);
  const start = planted("first_page_twice") ? Math.max(page - 2, 0) * perPage : (page - 1) * perPage;
  const some = items.slice(start, start + perPage).map(show);
  if (planted("list_without_total")) some.forEach((order) => delete order.total_cents);
  if (planted("ids_as_text_in_list")) some.forEach((order) => Object.assign(order, { id: String(order.id) }));
  res.json({ orders: some, page, per_page: perPage, total: items.length });
}

function checkKey(req) {
  const key = req.get("Idempotency-Key");
  if (key !== undefined && !/^[A-Za-z0-9-]{8,64}$/.test(key)) throw invalid("Idempotency-Key", "must be 8 to 64 letters, digits or -");
  return key && !planted("idempotency_key_ignored") ? `${req.user} ${key}` : undefined;
}

function created(res, order) {
  return res.status(201).location(`/v1/orders/${order.id}`).json(order);
}

async function createOrder(req, res) {
  const key = checkKey(req);
  const values = read.readFields(req.body, FIELDS);
  if (planted("missing_day_crashes")) values.deliver_on.split("-");
  const earlier = key && answers.get(key);
  const sent = JSON.stringify(values);
  if (earlier) {
    if (earlier.sent !== sent) throw new ShopError(409, "key_reused", "This Idempotency-Key came with another order before.");
    return created(res, earlier.order);
  }
  for (const { sku } of values.items) {
    if (!store.products.has(sku)) throw new ShopError(422, "unknown_product", `There is no product ${sku}.`, "items");
  }
  let id;
  if (planted("order_ids_race")) {
    id = Math.max(0, ...store.orders.keys()) + 1;
    await store.pause(10);
  }
  const order = store.addOrder(req.user, values, id);
  const shown = show(order);
  if (planted("created_note_not_stored")) order.note = "";
  if (key) answers.set(key, { sent, order: shown });
  return created(res, shown);
}

async function getOrder(req, res) {
  reads += 1;
  if (planted("one_read_in_twenty_slow") && reads % 20 === 0) await store.pause(1000);
  if (planted("orders_cached_for_all") && cached.has(req.params.id)) return res.json(cached.get(req.params.id));
  const order = find(req, planted("order_readable_by_all"));
  if (planted("shipped_redirects") && order.express) return res.redirect(`/v1/orders/${order.id}/receipt`);
  cached.set(req.params.id, show(order));
  return res.json(show(order));
}

function changeOrder(req, res) {
  const order = find(req, planted("order_patchable_by_all"));
  const values = read.readFields(req.body, CHANGES, { partial: true });
  if (planted("reference_not_stored")) delete values.reference;
  if (planted("express_false_ignored")) values.express = values.express || order.express;
  if (planted("patch_resets_gift_message")) values.gift_message ??= null;
  Object.assign(order, planted("read_only_fields_writable") ? req.body : {}, values);
  cached.delete(req.params.id);
  return res.json(show(order));
}

function deleteOrder(req, res) {
  const order = find(req, planted("order_deletable_by_all"));
  if (!planted("deleted_order_stays")) store.orders.delete(order.id);
  cached.delete(req.params.id);
  return res.status(204).end();
}

function getReceipt(req, res) {
  const order = find(req, planted("receipt_readable_by_all") || planted("receipt_without_key"));
  const type = planted("accept_ignored") ? "text/plain" : req.accepts(["text/plain", "application/json"]);
  if (!type) throw new ShopError(406, "not_acceptable", "There is text/plain and application/json.");
  if (planted("reference_in_header_crashes") && order.reference) res.set("Content-Disposition", `inline; filename="${order.reference}.txt"`);
  if (type === "application/json") return res.json({ order: order.id, total_cents: order.total_cents });
  return res.type("text/plain").send(`Order ${order.id}: ${order.total_cents} cents\n`);
}

function routes(only) {
  const router = express.Router({ strict: true, caseSensitive: true });
  router.route("/orders").get(listOrders).post(read.json, createOrder).all(only("GET", "POST"));
  const one = router.route("/orders/:id");
  if (planted("head_answers_404")) one.head(() => { throw notFound("order"); });
  one.get(getOrder).patch(read.json, changeOrder).delete(deleteOrder).all(only("GET", "PATCH", "DELETE"));
  router.route("/orders/:id/receipt").get(getReceipt).all(only("GET"));
  return router;
}

module.exports = { routes };
