/** Numbers of the instructions on integers of 32 bits, signed where that matters, by their names in the kernel language. */
export const eqz = 0x45;
export const eq = 0x46;
export const ne = 0x47;
export const lt = 0x48;
/** < of unsigned integers */
export const below = 0x49;
export const gt = 0x4a;
export const le = 0x4c;
export const ge = 0x4e;
export const add = 0x6a;
export const sub = 0x6b;
export const mul = 0x6c;
export const div = 0x6d;
export const rem = 0x6f;
export const and = 0x71;
export const or = 0x72;
export const shl = 0x74;
export const shr = 0x75;
/** >> of unsigned integers */
export const shrl = 0x76;
/** of two values of any type */
export const select = 0x1b;
