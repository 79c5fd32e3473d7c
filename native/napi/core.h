// core.h - the core's face as C++ sees it. The only include of hsm.h in this
// room, so that the linkage is said once.
#ifndef STRONGROOM_NAPI_CORE_H
#define STRONGROOM_NAPI_CORE_H

extern "C" {
#include "../module/hsm.h"
}

#endif
