// core.h - the core's face, and tokens at rest, as C++ sees them. The only
// include of both in this room, so that the linkage is said once.
#ifndef STRONGROOM_NAPI_CORE_H
#define STRONGROOM_NAPI_CORE_H

extern "C" {
#include "../module/hsm.h"
#ifdef STRONGROOM_LAB
#include "../module/lab_door.h"
#endif
#include "../token/token.h"
}

#endif
