/**
 * Milliseconds in which a process that is told to end must be gone. The promise is 200, to which the image's tests hold
 * it, one at a time; here several test files run at once. Whoever waited for the next try or answer would take longer than
 * this.
 */
export const promptly = 900;
