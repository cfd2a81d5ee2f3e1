// Allows the functions without a body, which are the runtime's.
