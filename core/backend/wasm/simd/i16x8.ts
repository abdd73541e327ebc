/** Numbers of the instructions on 8 integers of 16 bits. */
export const pairwiseU = 125;
export const narrowS = 133;
export const narrowU = 134;
export const extendLowS = 135;
export const extendLowU = 137;
