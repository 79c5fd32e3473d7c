/* stream.h - operations of many parts, as sessions keep them. */
#ifndef STRONGROOM_STREAM_H
#define STRONGROOM_STREAM_H

#include <stdbool.h>

#include "session.h"

struct operation;

void operation_end(struct operation *op);               /* NULL is fine; it can be begun again */
/* Does an operation wait for its key's user? */
bool operation_waiting(struct session *s);
void operation_arm(struct session *s);
void operation_cancel_all(struct session *s);

#endif
