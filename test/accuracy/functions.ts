/** The functions whose accuracy is measured. */
import { elementaryCases } from "./elementary-cases.ts";
import type { Case } from "./measure.ts";
import { specialCases } from "./special-cases.ts";

export const cases: { readonly [name: string]: Case } = { ...elementaryCases, ...specialCases };
