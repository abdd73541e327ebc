/** Numbers of the instructions of whole vectors. */
export const load = 0;
export const store = 11;
export const constant = 12;
export const not = 77;
export const and = 78;
export const or = 80;
export const xor = 81;
export const bitselect = 82;
export const anyTrue = 83;
export const load32Lane = 86;
export const load64Lane = 87;
export const store32Lane = 90;
export const store64Lane = 91;
export const load32Zero = 92;
export const load64Zero = 93;
