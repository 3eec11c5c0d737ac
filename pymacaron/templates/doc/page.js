// Shows the document that the page names; nothing is fetched from, or told to, any other host.
const reference = document.getElementById("reference");

SwaggerUIBundle({
  url: reference.dataset.document,
  domNode: reference,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  displayRequestDuration: true,
  validatorUrl: null,
});
