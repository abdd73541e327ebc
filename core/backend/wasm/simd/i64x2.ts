/** Numbers of the instructions on 2 integers of 64 bits. */
export const extendLowS = 199;
export const extendHighS = 200;
export const productLowS = 220;
export const productHighS = 221;
export const productLowU = 222;
export const productHighU = 223;
