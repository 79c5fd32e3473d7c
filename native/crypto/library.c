/* library.c - see library.h. */
#include "library.h"

#include <openssl/base.h>

const char *
library_name(void)
{
	return AWSLC_VERSION_NAME " " AWSLC_VERSION_NUMBER_STRING;
}
