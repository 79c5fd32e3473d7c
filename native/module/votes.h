/* votes.h - shares that came so far, for one purpose at a time. */
#ifndef STRONGROOM_VOTES_H
#define STRONGROOM_VOTES_H

void votes_forget(void);        /* wipes */

#endif
