/* Read before each source file of the engine, which checks the depth of its stack unless
 * it finds __wasi__: a recursion without end would be a trap, not a RangeError. The C
 * library's headers want it defined, so they come first. */
#include <ctype.h>
#include <errno.h>
#include <fenv.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
#undef __wasi__
/* `Atomics` are left out where the engine takes the system for a browser's. */
#undef EMSCRIPTEN
