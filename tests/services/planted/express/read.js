// Reads what requests say, field by field.
const express = require("express");
const planted = require("./planted");
const { ShopError, invalid } = require("./errors");

const LARGEST = Number.MAX_SAFE_INTEGER;
const lengthOf = (text) => [...text].length;
const mediaType = (req) => (req.get("content-type") || "").split(";")[0].trim().toLowerCase();

function expects(type) {
  return (req, res, next) => {
    if (mediaType(req) !== type && !planted("text_body_crashes")) {
      return next(new ShopError(415, "unsupported_media_type", `Send ${type}.`));
    }
    return next();
  };
}

function isObject(req, res, next) {
  const body = req.body;
  const isGiven = planted("text_body_crashes") ? Object.keys(body) : body !== undefined;
  if (!isGiven || Array.isArray(body) || typeof body !== "object") return next(invalid("body", "must be an object"));
  return next();
}

const json = [expects("application/json"), express.json({ type: "application/json" }), isObject];
const form = [
  expects("application/x-www-form-urlencoded"),
  express.urlencoded({ extended: false, type: "application/x-www-form-urlencoded" }),
  isObject,
];

const text = (shortest, longest) => (value, name) => {
  if (typeof value !== "string" || lengthOf(value) < shortest || lengthOf(value) > longest) {
    throw invalid(name, `must be a text of ${shortest} to ${longest} characters`);
  }
  return value;
};

const matching = (pattern) => (value, name) => {
  if (typeof value !== "string" || !pattern.test(value)) throw invalid(name, `must match ${pattern.source}`);
  return value;
};

const whole = (least, most) => (value, name) => {
  if (!Number.isInteger(value) || value < least || value > most) {
    throw invalid(name, `must be a whole number from ${least} to ${most}`);
  }
  return value;
};

const number = (least, most) => (value, name) => {
  if (typeof value !== "number" || !(value >= least && value <= most)) {
    throw invalid(name, `must be a number from ${least} to ${most}`);
  }
  return value;
};

const oneOf = (choices) => (value, name) => {
  if (!choices.includes(value)) throw invalid(name, `must be one of ${choices.join(", ")}`);
  return value;
};

const flag = (value, name) => {
  if (typeof value !== "boolean") throw invalid(name, "must be true or false");
  return value;
};

const nullable = (check) => (value, name) => (value === null ? null : check(value, name));

const date = (value, name) => {
  const found = typeof value === "string" && /^(\d{4})-(\d{2})-(\d{2})$/.exec(value);
  if (!found) throw invalid(name, "must be a date, YYYY-MM-DD");
  const day = new Date(`${value}T00:00:00Z`);
  const rolls = planted("days_roll_over") ? Number(found[3]) <= 31 : day.getUTCDate() === Number(found[3]);
  if (!rolls || found[1] === "0000" || (Number.isNaN(day.getTime()) && !planted("days_roll_over"))) {
    throw invalid(name, "must be a day of the calendar");
  }
  return value;
};

const list = (least, most, check) => (value, name) => {
  if (!Array.isArray(value) || value.length < least || value.length > most) {
    throw invalid(name, `must be a list of ${least} to ${most} items`);
  }
  return value.map((item, index) => check(item, `${name}[${index}]`));
};

const has = (object, name) => Object.prototype.hasOwnProperty.call(object, name);

// fields: name -> {check, required, fallback}. With partial only fields that were sent are in the result.
function readFields(body, fields, { partial = false, prefix = "" } = {}) {
  if (typeof body !== "object" || body === null || Array.isArray(body)) throw invalid(prefix, "must be an object");
  const values = {};
  for (const [name, { check, required, fallback }] of Object.entries(fields)) {
    const full = prefix ? `${prefix}.${name}` : name;
    if (has(body, name)) values[name] = check(body[name], full);
    else if (partial) continue;
    else if (required) throw invalid(full, "is missing");
    else values[name] = typeof fallback === "function" ? fallback() : fallback;
  }
  return values;
}

// One query parameter: undefined if it was not sent.
function readQuery(req, name, read) {
  const value = req.query[name];
  if (value === undefined) return undefined;
  if (typeof value !== "string") throw invalid(name, "must be given once");
  return read(value, name);
}

const digits = (least, most) => (value, name) => {
  if (!/^-?[0-9]{1,17}$/.test(value)) throw invalid(name, "must be a whole number");
  return whole(least, most)(Number(value), name);
};

const yesNo = (value, name) => oneOf(["true", "false"])(value, name) === "true";

function readPage(req) {
  const most = planted("per_page_maximum_unchecked") ? LARGEST : 50;
  const readNumber = (value, name) =>
    planted("page_text_is_one") ? Math.max(parseInt(value, 10) || 1, 1) : digits(1, 1000000)(value, name);
  const page = readQuery(req, "page", readNumber) ?? 1;
  const perPage = readQuery(req, "per_page", digits(1, most)) ?? 10;
  return { page, perPage };
}

module.exports = {
  LARGEST, json, form, text, matching, whole, number, oneOf, flag, nullable, date, list, readFields, readQuery,
  digits, yesNo, readPage,
};
