/* derive.h - what derivation, unwrapping and decapsulation share. */
#ifndef STRONGROOM_DERIVE_H
#define STRONGROOM_DERIVE_H

#include "attrs.h"
#include "loan.h"

/* The key that a template asks for. */
struct derive_target { uint32_t klass; hsm_spec spec; size_t len; bool typed; };

HSM_MUST_USE hsm_status derive_target(const hsm_attr *attrs, size_t n, const hsm_params *params, struct derive_target *t);
/* The first `len` bytes (0: all). HSM_E_KEY_SIZE. */
HSM_MUST_USE hsm_status derive_cut(struct secret *made, size_t len);
hsm_spec derive_spec(const struct derive_target *t);

/* May this key answer payload? HSM_E_POLICY. */
HSM_MUST_USE hsm_status derive_reveals(const struct loan *loan);
HSM_MUST_USE hsm_status derive_show(const struct secret *made, hsm_out *out);

#endif
