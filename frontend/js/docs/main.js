// Show the API documentation with Swagger UI. Its trial requests carry the CSRF header, like those of the other pages.
import { csrfHeader } from "../shared/api.js";
import { setUpPage } from "../shared/page.js";

setUpPage();

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#main",
  deepLinking: true,
  validatorUrl: null,
  requestInterceptor: (request) => {
    Object.assign(request.headers, csrfHeader());
    return request;
  },
});
