// Who asks: keys in the header X-API-Key.
const planted = require("./planted");
const { ShopError } = require("./errors");

const KEYS = [
  { key: "shop-A1ice-5e0f7c2b9d", user: "alice", environment: "live", expires: "2099-01-01", enabled: true },
  { key: "shop-B0b-81d4a6f3c7", user: "bob", environment: "live", expires: "2099-01-01", enabled: true },
  { key: "shop-A1ice-old-3b6c1e", user: "alice", environment: "live", expires: "2025-01-01", enabled: true },
  { key: "shop-B0b-off-7f2d90", user: "bob", environment: "live", expires: "2099-01-01", enabled: false },
  { key: "shop-A1ice-test-c4e8a2", user: "alice", environment: "test", expires: "2099-01-01", enabled: true },
];

function matches(known, key) {
  if (planted("key_beginning_accepted")) return known.startsWith(key);
  if (planted("key_in_any_case")) return known.toLowerCase() === key.toLowerCase();
  return known === key;
}

function findUser(req) {
  const key = req.get("X-API-Key");
  if (key === undefined) throw new ShopError(401, "key_missing", "Send a key in X-API-Key.");
  const entry = KEYS.find((item) => matches(item.key, key));
  const isGood =
    entry &&
    (entry.enabled || planted("disabled_key_accepted")) &&
    (new Date(entry.expires) > new Date() || planted("expired_key_accepted")) &&
    (entry.environment === "live" || planted("test_key_accepted"));
  if (!isGood) throw new ShopError(401, "key_refused", "The key is not valid.");
  return entry.user;
}

function isOpen(req) {
  return (
    (planted("receipt_without_key") && req.path.endsWith("/receipt")) ||
    (planted("contact_without_key") && req.path === "/contact")
  );
}

function authenticate(req, res, next) {
  if (isOpen(req)) return next();
  req.user = findUser(req);
  return next();
}

module.exports = { authenticate };
