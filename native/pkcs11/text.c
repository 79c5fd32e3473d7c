/* text.c - see text.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "text.h"

void
text_pad(CK_UTF8CHAR *to, size_t len, const char *format, ...)
{
	char line[128];
	size_t n;
	va_list args;

	va_start(args, format);
	(void)vsnprintf(line, sizeof line, format, args);
	va_end(args);
	n = strlen(line);
	memset(to, ' ', len);
	memcpy(to, line, n < len ? n : len);
}

void
text_hex(CK_CHAR *to, const uint8_t *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < n; i++) {
		to[2 * i] = (CK_CHAR)digits[bytes[i] >> 4];
		to[2 * i + 1] = (CK_CHAR)digits[bytes[i] & 15];
	}
}

void
text_utc(CK_CHAR to[16])
{
	time_t now = time(NULL);
	char line[32];
	struct tm tm;

	memset(to, '0', 16);
	if (gmtime_r(&now, &tm) != NULL && strftime(line, sizeof line, "%Y%m%d%H%M%S", &tm) == 14)
		memcpy(to, line, 14);
}

CK_VERSION
text_version(void)
{
	CK_VERSION v = { 0, 0 };
	hsm_info info;
	char *end;

	if (hsm_describe(&info) == HSM_OK && info.version != NULL) {
		v.major = (CK_BYTE)strtoul(info.version, &end, 10);
		if (*end == '.')
			v.minor = (CK_BYTE)strtoul(end + 1, NULL, 10);
	}
	return v;
}

int
text_number_order(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}
