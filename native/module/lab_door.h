/* lab_door.h - the laboratory's calls, beside hsm.h; laboratory builds only. */
#ifndef STRONGROOM_LAB_DOOR_H
#define STRONGROOM_LAB_DOOR_H

#include "hsm.h"

/* HSM_E_ARGS: no such setting (base/lab.h). Also while the module is off. */
HSM_MUST_USE hsm_status hsm_lab(const char *setting);
/* Raw noise, a sample a byte: source 0 the operating system's, 1 the
 * processor's (HSM_E_UNSUPPORTED). Fills noise->cap, rounded down to eights. */
HSM_MUST_USE hsm_status hsm_lab_noise(unsigned source, hsm_out *noise);

#endif
