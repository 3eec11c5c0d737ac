// The catalogue: everybody reads it, who sells a product changes it.
const express = require("express");
const planted = require("./planted");
const store = require("./store");
const { ShopError, invalid, notFound } = require("./errors");
const read = require("./read");

const CATEGORIES = ["kitchen", "tools", "garden", "books"];
const SKU = planted("sku_start_not_anchored") ? /[A-Z]{3}-[0-9]{4,6}$/ : /^[A-Z]{3}-[0-9]{4,6}$/;

const price = (value, name) => {
  if (planted("zero_price_refused") && !value) throw invalid(name, "is missing");
  if (planted("price_text_accepted") && typeof value === "string") return read.whole(0, read.LARGEST)(Number(value), name);
  return read.whole(0, read.LARGEST)(value, name);
};

const FIELDS = {
  name: { check: read.text(planted("empty_name_accepted") ? 0 : 1, 60), required: true },
  category: { check: read.oneOf(planted("garden_refused") ? ["kitchen", "tools", "books"] : CATEGORIES), required: true },
  price_cents: { check: price, required: true },
  weight_kg: { check: read.number(0, 1000), fallback: 0 },
  stock: { check: read.whole(0, 1000000), fallback: 0 },
  description: { check: read.nullable(read.text(0, 400)), fallback: null },
};
const NEW = { sku: { check: read.matching(SKU), required: true }, ...FIELDS };

const etag = (product) =>
  planted("etag_ignores_stock") ? `"${product.mark}-${product.name.length}"` : `"${product.mark}-${product.version}"`;

function show(product) {
  const { mark, version, ...shown } = product;
  if (planted("weight_null") && !shown.weight_kg) shown.weight_kg = null;
  return shown;
}

function answer(res, product, status = 200) {
  return res.status(status).set("ETag", etag(product)).json(show(product));
}

function find(req) {
  const product = store.products.get(req.params.sku);
  if (!product) throw notFound("product");
  return product;
}

function findOwn(req, leniency) {
  const product = find(req);
  if (product.seller !== req.user && !leniency) {
    throw new ShopError(403, "forbidden", "Only who sells a product changes it.");
  }
  return product;
}

function checkIfMatch(req, product) {
  const line = req.get("If-Match");
  if (line === undefined || line.trim() === "*" || planted("if_match_ignored")) return;
  if (!line.split(",").some((item) => item.trim() === etag(product))) {
    throw new ShopError(412, "changed", "The product has changed since.");
  }
}

const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
const COLLATIONS = { sku: compare, name: compare, price_cents: compare, stock: compare };
const SORTS = Object.keys(COLLATIONS);

function sort(items, field, direction) {
  const key = (item) => (planted("price_sorted_as_text") && field === "price_cents" ? String(item[field]) : item[field]);
  items.sort((a, b) => COLLATIONS[field](key(a), key(b)) || compare(a.sku, b.sku));
  if (direction === "desc" && !planted("desc_ignored")) items.reverse();
}

function contains(product, q) {
  if (planted("q_is_case_sensitive")) return product.name.includes(q);
  return product.name.toLowerCase().includes(q.toLowerCase());
}

function select(req) {
  let items = [...store.products.values()];
  const readText = (value, name) => read.text(1, 60)(planted("q_decoded_twice") ? decodeURIComponent(value) : value, name);
  const q = planted("repeated_q_crashes") && Array.isArray(req.query.q) ? req.query.q : read.readQuery(req, "q", readText);
  const category = read.readQuery(req, "category", read.oneOf(CATEGORIES));
  const least = read.readQuery(req, "min_price", read.digits(0, read.LARGEST));
  const most = read.readQuery(req, "max_price", read.digits(0, read.LARGEST));
  const inStock = planted("in_stock_false_is_true") ? Boolean(req.query.in_stock) || undefined : read.readQuery(req, "in_stock", read.yesNo);
  const field = read.readQuery(req, "sort", planted("unknown_sort_crashes") ? (value) => value : read.oneOf(SORTS)) || "sku";
  const direction = read.readQuery(req, "order", read.oneOf(["asc", "desc"])) || "asc";
  if (q !== undefined) items = items.filter((item) => contains(item, q));
  if (least !== undefined) items = items.filter((item) => item.price_cents >= least);
  if (most !== undefined) {
    items = items.filter((item) => item.price_cents < most || (item.price_cents === most && !planted("max_price_excluded")));
  }
  if (inStock !== undefined) items = items.filter((item) => item.stock > 0 === inStock);
  sort(items, field, direction);
  const byCategory = (some) => (category === undefined ? some : some.filter((item) => item.category === category));
  return planted("category_of_page_only") ? [items, byCategory] : [byCategory(items), (some) => some];
}

async function listProducts(req, res) {
  const { page, perPage } = read.readPage(req);
  const [items, after] = select(req);
  if (planted("large_page_slow") && perPage >= 40) await store.pause(30 * perPage);
  const overlap = planted("pages_overlap") && page > 1 ? 1 : 0;
  const start = (page - 1) * perPage - overlap;
  const some = after(items.slice(start, planted("per_page_ignored") ? start + 10 : start + perPage));
  res.set("X-Total-Count", String(planted("total_of_page") ? some.length : items.length));
  res.json(some.map(show));
}

async function createProduct(req, res) {
  const values = read.readFields(req.body, NEW);
  if (store.products.has(values.sku)) {
    const message = planted("conflict_shows_database")
      ? `MongoServerError: E11000 duplicate key error collection: shop.products index: sku_1 dup key: { sku: "${values.sku}" }`
      : "This sku is taken.";
    throw new ShopError(409, "sku_taken", message, "sku");
  }
  if (planted("sku_taken_twice")) await store.pause(10);
  const product = store.addProduct(req.user, values);
  res.location(planted("location_without_base") ? `/products/${product.sku}` : `/v1/products/${product.sku}`);
  return answer(res, product, planted("create_answers_200") ? 200 : 201);
}

function replaceProduct(req, res) {
  const product = findOwn(req);
  checkIfMatch(req, product);
  const values = read.readFields(req.body, FIELDS);
  if (planted("category_not_replaced")) delete values.category;
  Object.assign(product, values, { version: product.version + 1 });
  return answer(res, product);
}

function deleteProduct(req, res) {
  const product = findOwn(req, planted("product_deletable_by_all"));
  checkIfMatch(req, product);
  store.products.delete(product.sku);
  return res.status(204).end();
}

async function changeStock(req, res) {
  const product = findOwn(req);
  const { delta } = read.readFields(req.body, { delta: { check: read.whole(-1000, 1000), required: true } });
  const { stock } = product;
  if (planted("stock_updates_lost")) await store.pause(10);
  if (stock + delta < 0 || stock + delta > 1000000) {
    throw new ShopError(409, "stock_out_of_range", "There is not that much in stock, or too much.");
  }
  product.stock = stock + delta;
  product.version += 1;
  return res.json({ sku: product.sku, stock: product.stock });
}

function routes(only) {
  const router = express.Router({ strict: true, caseSensitive: true });
  router.route("/products").get(listProducts).post(read.json, createProduct).all(only("GET", "POST"));
  router
    .route("/products/:sku")
    .get((req, res) => answer(res, find(req)))
    .put(read.json, replaceProduct)
    .delete(deleteProduct)
    .all(only("GET", "PUT", "DELETE"));
  router.route("/products/:sku/stock").post(read.json, changeStock).all(only("POST"));
  return router;
}

module.exports = { routes };
