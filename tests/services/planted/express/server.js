// A small shop, in Express: PORT=8000 node server.js
const cors = require("cors");
const express = require("express");
const account = require("./account");
const addresses = require("./addresses");
const { ShopError, answerError, notFound } = require("./errors");
const { authenticate } = require("./keys");
const orders = require("./orders");
const planted = require("./planted");
const products = require("./products");

function only(...methods) {
  const allow = methods.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method])).join(", ");
  return (req, res, next) => {
    if (!planted("allow_missing")) res.set("Allow", allow);
    next(new ShopError(405, "method_not_allowed", `There is ${allow}.`));
  };
}

const app = express();
app.disable("x-powered-by");
app.enable("strict routing");
app.enable("case sensitive routing");
app.use(
  cors({
    methods: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
    allowedHeaders: ["Content-Type", "If-Match", "Idempotency-Key", ...(planted("preflight_without_key_header") ? [] : ["X-API-Key"])],
    exposedHeaders: ["ETag", "Location", "X-Total-Count"],
  }),
);
app.get("/v1/status", (req, res) => res.json({ status: "ok" }));
app.all("/v1/status", only("GET"));
app.use("/v1", authenticate);
for (const part of [account, products, orders, addresses]) app.use("/v1", part.routes(only));
app.use((req, res, next) => next(notFound("path")));
app.use(answerError);
app.listen(Number(process.env.PORT), "127.0.0.1");
