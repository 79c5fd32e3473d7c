/* mech_depth_test.c - the stack depths of mech_measure_test.c in a program that is
 * optimised as a whole, as the modules are: depths depend on what was inlined.
 * Allocations cannot be counted there, for the same reason. */
#define DEPTH_ONLY
#include "mech_measure_test.c"
