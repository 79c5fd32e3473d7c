/* lab.h - the laboratory: faults, oracles and events that can be switched on.
 *
 * There only in a build with -DSTRONGROOM_LAB=ON, whose version ends in "-lab"
 * and which opens no production root, token or device. In every other build
 * each question below is a constant, and what it asks for is not compiled.
 *
 * A setting is text: NAME, NAME=NUMBER, NAME=TEXT or NAME=off. STRONGROOM_LAB
 * in the environment holds settings joined by commas, read at power-on;
 * docs/laboratory.md describes each. */
#ifndef STRONGROOM_LAB_H
#define STRONGROOM_LAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "status.h"

/* X(enumerator, name): switches; their value is a number, 1 where none is given. */
#define LAB_SWITCHES(X) \
	X(LAB_PKCS1_ORACLE, "pkcs1-oracle")     /* bad PKCS#1 v1.5 padding is told apart */ \
	X(LAB_LEAKY_COMPARE, "leaky-compare")   /* comparisons end at the first difference; microseconds a byte */ \
	X(LAB_SHORT_NONCES, "short-nonces")     /* ECDSA nonces begin with so many zero bits */ \
	X(LAB_NONCE_FLIP, "nonce-flip")         /* the lowest bit of deterministic ECDSA nonces is flipped */ \
	X(LAB_IV_STUCK, "iv-stuck")             /* GCM's ivs made inside repeat */ \
	X(LAB_DP_FLIP, "dp-flip")               /* one bit of dP is flipped in RSA signatures */ \
	X(LAB_UNCHECKED, "unchecked")           /* RSA signatures leave without being verified */ \
	X(LAB_TAG_FLIP, "tag-flip")             /* MACs are compared with one bit flipped */ \
	X(LAB_STRICT_OFF, "strict-off")         /* strict partitions are not strict */ \
	X(LAB_OUTPUT_STUCK, "output-stuck")     /* the generator's output repeats */ \
	X(LAB_ENTROPY_SAME, "entropy-same")     /* the noise source gives the same bytes each time */ \
	X(LAB_TAMPER_AT, "tamper-at")           /* a tamper event during the n-th operation from now */

#define LAB_ENUM(id, name) id,
enum lab_switch { LAB_SWITCHES(LAB_ENUM) LAB_SWITCHES_N };
#undef LAB_ENUM

#ifdef STRONGROOM_LAB
/* HSM_E_ARGS: no such setting. */
HSM_MUST_USE hsm_status lab_set(const char *setting);
HSM_MUST_USE hsm_status lab_power_on(void);             /* STRONGROOM_LAB */
uint32_t lab(enum lab_switch which);                    /* 0: off */
bool lab_count_down(enum lab_switch which);             /* has it come to its turn now? once */
/* fail=NAME or fail=NAME@N: shall the test of this name fail now? */
bool lab_fails(const char *test);
/* seed=TEXT: the noise source follows from it; false: not set. */
bool lab_seed(const char **seed);
/* trace=FILE: one line of JSON, what `format` makes between the braces. */
void lab_trace(const char *format, ...) __attribute__((format(printf, 1, 2)));
#else
#define lab(which) 0u
#define lab_count_down(which) false
#define lab_fails(test) false
#define lab_trace(...) ((void)0)
static inline hsm_status
lab_power_on(void)
{
	return HSM_OK;
}
#endif

#endif
