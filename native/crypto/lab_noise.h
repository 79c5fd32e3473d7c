/* lab_noise.h - raw noise, before any conditioning of ours: what SP 800-90B's
 * estimators want to see. Laboratory builds only. */
#ifndef STRONGROOM_LAB_NOISE_H
#define STRONGROOM_LAB_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum lab_source { LAB_SYSTEM, LAB_PROCESSOR };

/* len: a multiple of 8. false: this processor has no such source. */
bool lab_noise(enum lab_source source, uint8_t *out, size_t len);

#endif
