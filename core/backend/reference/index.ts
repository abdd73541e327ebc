/** `cotangent/reference`: importing it makes the backend known as "reference". It interprets kernels in JavaScript, element by
 *  element, and is what others are compared with; a page that trains needs none of it.
 *
 *  ```ts
 *  import "cotangent/reference";
 *  withBackend("reference", () => loss(params, x));
 *  ``` */
import { registerBackend } from "../registry.ts";
import { referenceBackend } from "./backend.ts";

registerBackend(referenceBackend);

export { referenceBackend };
