// Addresses: private to their owner.
const express = require("express");
const planted = require("./planted");
const store = require("./store");
const { notFound } = require("./errors");
const read = require("./read");

const COUNTRY = planted("country_in_any_case") ? /^[A-Z]{2}$/i : /^[A-Z]{2}$/;
const FIELDS = {
  name: { check: read.text(1, 40), required: true },
  street: { check: read.text(1, 100), required: true },
  line2: { check: read.nullable(read.text(0, 100)), fallback: null },
  city: { check: read.text(1, 60), required: !planted("city_not_required"), fallback: "" },
  country: { check: read.matching(COUNTRY), required: true },
  is_default: { check: read.flag, fallback: false },
};

const show = ({ owner, ...shown }) => shown;

function find(req, leniency = false) {
  const address = store.addresses.get(req.params.id);
  if (!address || (address.owner !== req.user && !leniency)) throw notFound("address");
  return address;
}

function listAddresses(req, res) {
  const mine = [...store.addresses.values()].filter((one) => one.owner === req.user || planted("list_shows_all_addresses"));
  return res.json(mine.map(show));
}

function createAddress(req, res) {
  const address = store.addAddress(req.user, read.readFields(req.body, FIELDS));
  return res.status(201).location(`/v1/addresses/${address.id}`).json(show(address));
}

function replaceAddress(req, res) {
  const address = find(req, planted("address_replaceable_by_all"));
  const values = read.readFields(req.body, FIELDS);
  if (planted("put_keeps_line2") && values.line2 === null) delete values.line2;
  Object.assign(address, values);
  return res.json(show(address));
}

function deleteAddress(req, res) {
  const address = find(req);
  const mine = [...store.addresses.values()].filter((one) => one.owner === req.user);
  const doomed = planted("delete_removes_another") ? mine[mine.indexOf(address) - 1] || address : address;
  store.addresses.delete(doomed.id);
  return res.status(204).end();
}

function routes(only) {
  const router = express.Router({ strict: true, caseSensitive: true });
  router.route("/addresses").get(listAddresses).post(read.json, createAddress).all(only("GET", "POST"));
  router
    .route("/addresses/:id")
    .get((req, res) => res.json(show(find(req, planted("address_readable_by_all")))))
    .put(read.json, replaceAddress)
    .delete(deleteAddress)
    .all(only("GET", "PUT", "DELETE"));
  return router;
}

module.exports = { routes };
