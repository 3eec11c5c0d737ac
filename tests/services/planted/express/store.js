// Everything that the shop knows, in memory.
const crypto = require("crypto");
const planted = require("./planted");

const accounts = new Map();
const products = new Map();
const orders = new Map();
const addresses = new Map();
let lastOrder = 0;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function addProduct(seller, values) {
  const product = { ...values, stock: values.stock, seller, mark: crypto.randomBytes(4).toString("hex"), version: 1 };
  if (planted("price_in_32_bits")) product.price_cents |= 0;
  if (planted("weight_rounded")) product.weight_kg = Number(product.weight_kg.toFixed(2));
  product.created_at = new Date().toISOString();
  products.set(product.sku, product);
  return product;
}

function nextOrderId() {
  if (planted("order_ids_reused")) return orders.size + 1;
  lastOrder += 1;
  return lastOrder;
}

function totalOf(items, discount) {
  const sum = items.reduce((all, { unit_price_cents, quantity }) => all + unit_price_cents * quantity, 0);
  const total = sum - (sum * discount) / 100;
  return planted("total_not_rounded") ? total : Math.min(Math.round(total), Number.MAX_SAFE_INTEGER);
}

function addOrder(customer, values, id = nextOrderId()) {
  const items = values.items.map(({ sku, quantity }) => ({
    sku, quantity, unit_price_cents: products.get(sku).price_cents,
  }));
  const order = {
    id, customer, ...values, items, status: "open", total_cents: totalOf(items, values.discount_percent),
    placed_at: new Date().toISOString(),
  };
  orders.set(id, order);
  return order;
}

function addAddress(owner, values) {
  const address = { id: crypto.randomUUID(), owner, ...values };
  addresses.set(address.id, address);
  return address;
}

function seed() {
  const wares = [
    ["TEA-0001", "Green tea", "kitchen", 890, 0.25, 40], ["POT-0002", "Teapot", "kitchen", 3490, 1.2, 7],
    ["HAM-0003", "Hammer", "tools", 1999, 0.8, 0], ["SAW-0004", "Saw", "tools", 2450, 0.6, 12],
    ["ROS-0005", "Rose", "garden", 1250, 2.5, 3], ["BOO-0006", "Book of roses", "books", 2200, 0.9, 25],
  ];
  wares.forEach(([sku, name, category, price_cents, weight_kg, stock], index) => {
    addProduct(index % 2 ? "bob" : "alice", { sku, name, category, price_cents, weight_kg, stock, description: null });
  });
  for (const user of ["alice", "bob"]) {
    accounts.set(user, {
      id: `acc_${user}`, nickname: user, phone: null, marketing: false, language: "en",
      api_key_hash: crypto.randomBytes(20).toString("hex"),
    });
    for (const [quantity, reference] of [[1, "First"], [3, null]]) {
      addOrder(user, {
        items: [{ sku: "TEA-0001", quantity }], note: "", gift_message: null, discount_percent: 0,
        deliver_on: "2026-05-04", reference, express: false,
      });
    }
    addAddress(user, { name: "Home", street: "Long Road 1", city: "Springfield", country: "DE", line2: null, is_default: true });
    addAddress(user, { name: "Work", street: "Wide Street 2", city: "Shelbyville", country: "FR", line2: null, is_default: false });
  }
}

seed();
module.exports = { accounts, products, orders, addresses, pause, addProduct, nextOrderId, addOrder, addAddress };
