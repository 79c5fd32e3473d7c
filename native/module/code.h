/* code.h - an object as bytes, before they are sealed: docs/formats/object.md. */
#ifndef STRONGROOM_CODE_H
#define STRONGROOM_CODE_H

#include "attrs.h"

/* facts NULL: material alone (an object whose attributes are at hand). One
 * pass with clear->ptr NULL measures. HSM_E_BUFFER. */
HSM_MUST_USE hsm_status object_encode(const struct facts *facts, hsm_in material, hsm_out *clear);
/* material is a view of clear. *facts is NULL where none were written.
 * HSM_E_FORMAT. */
HSM_MUST_USE hsm_status object_decode(hsm_in clear, struct facts **facts, hsm_in *material);

#endif
