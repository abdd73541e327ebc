/** Numbers of the instructions on 16 integers of 8 bits. */
export const popcnt = 98;
export const narrowS = 101;
export const narrowU = 102;
