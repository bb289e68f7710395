// The API's documentation, drawn by Swagger UI, whose trial requests are sent as the other pages send theirs.
import { token } from "./api.js";

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  validatorUrl: null,
  requestInterceptor: (request) => {
    Object.assign(request.headers, token());
    return request;
  },
});
