/* library.h - which crypto library this is built with. */
#ifndef STRONGROOM_LIBRARY_H
#define STRONGROOM_LIBRARY_H

const char *library_name(void);         /* "AWS-LC 5.12.0" */

#endif
