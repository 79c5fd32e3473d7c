/* inspect.h - the public parts of a key. */
#ifndef STRONGROOM_INSPECT_H
#define STRONGROOM_INSPECT_H

#include "object.h"

/* A component that policy lets leave; the key is loaded where it must be. The
 * object is on loan. */
HSM_MUST_USE hsm_status inspect_component(struct object *o, uint32_t type, hsm_out *out);

#endif
