// Errors as the document promises them: {"code", "message", "field"}.
const planted = require("./planted");

class ShopError extends Error {
  constructor(status, code, message, field = null) {
    super(message);
    Object.assign(this, { status, code, field });
  }
}

const notFound = (what) => new ShopError(404, "not_found", `There is no such ${what}.`);
const invalid = (field, rule) => new ShopError(400, "invalid", `${field} ${rule}`, field);

const PARSER_CODES = { 400: "malformed", 413: "too_large", 415: "unsupported_media_type" };

// eslint-disable-next-line no-unused-vars
function answerError(error, req, res, next) {
  if (res.headersSent) return next(error);
  if (error instanceof ShopError) {
    if (error.status === 403 && planted("forbidden_as_text")) return res.status(403).json({ error: error.message });
    if (error.status === 404 && error.message.includes("order") && planted("missing_order_as_html")) return next();
    const { code, message, field } = error;
    return res.status(error.status).json({ code, message, field });
  }
  const status = error.status || error.statusCode;
  if (status >= 400 && status < 500 && !planted("malformed_json_crashes")) {
    const message = planted("parser_stack_shown") ? error.stack : "The request could not be read.";
    return res.status(status).json({ code: PARSER_CODES[status] || "malformed", message, field: null });
  }
  process.stderr.write(`${error.stack}\n`);
  return res.status(500).json({ code: "internal", message: "Something went wrong.", field: null });
}

module.exports = { ShopError, notFound, invalid, answerError };
