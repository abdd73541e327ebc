/** Numbers of the instructions on memory that threads share, after their prefix. */
export const notify = 0x00;
export const wait32 = 0x01;
export const load = 0x10;
export const load64 = 0x11;
export const store = 0x17;
export const store64 = 0x18;
export const add = 0x1e;
export const or64 = 0x34;
export const compareExchange64 = 0x49;
