// The caller's own account, and messages to the shop.
const express = require("express");
const planted = require("./planted");
const store = require("./store");
const read = require("./read");

const phone = (value, name) => {
  if (planted("null_phone_crashes")) value.trim();
  return read.nullable(read.matching(/^\+[0-9]{6,15}$/))(value, name);
};

const CHANGES = {
  nickname: { check: read.text(1, 30) },
  phone: { check: phone },
  marketing: { check: read.flag },
  language: { check: read.oneOf(["en", "de", "fr"]) },
};
const MESSAGE = {
  subject: { check: read.text(1, 100), required: true },
  message: { check: read.text(1, 2000), required: true },
  topic: { check: planted("form_topic_unchecked") ? (value) => value : read.oneOf(["order", "product", "other"]), fallback: "other" },
  urgent: { check: read.yesNo, fallback: false },
};
let messages = 0;

function show(account) {
  const { api_key_hash, ...shown } = account;
  return planted("key_hash_shown") ? account : shown;
}

function changeAccount(req, res) {
  const account = store.accounts.get(req.user);
  const values = read.readFields(req.body, CHANGES, { partial: true });
  if (planted("marketing_false_ignored")) values.marketing = values.marketing || account.marketing;
  Object.assign(account, values);
  return res.json(show(account));
}

function contact(req, res) {
  const values = read.readFields(req.body, MESSAGE);
  messages += 1;
  return res.status(202).json({ number: messages, topic: values.topic, urgent: values.urgent });
}

function routes(only) {
  const router = express.Router({ strict: true, caseSensitive: true });
  router
    .route("/account")
    .get((req, res) => res.json(show(store.accounts.get(req.user))))
    .patch(read.json, changeAccount)
    .all(only("GET", "PATCH"));
  router.route("/contact").post(read.form, contact).all(only("POST"));
  return router;
}

module.exports = { routes };
