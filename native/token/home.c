/* home.c - where tokens are. */
#include <ctype.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "token.h"

#define SYSTEM_CONF "/etc/strongroom/pkcs11.conf"
#define OWN ".strongroom"

/* Room for what comes below it. */
static bool
fits(int len)
{
	return len > 0 && len < PATH_MAX - 64;
}

static bool
own_home(char home[PATH_MAX])
{
	const char *user = secure_getenv("HOME");
	struct passwd entry, *found = NULL;
	char room[4096];

	if ((user == NULL || user[0] == '\0')
	    && getpwuid_r(geteuid(), &entry, room, sizeof room, &found) == 0 && found != NULL)
		user = found->pw_dir;
	return user != NULL && user[0] != '\0' && fits(snprintf(home, PATH_MAX, "%s/" OWN, user));
}

/* "home = /path" on a line of its own. */
static bool
line_home(char *line, char home[PATH_MAX])
{
	char *at = line + strspn(line, " \t"), *end;

	if (strncmp(at, "home", 4) != 0)
		return false;
	at += 4;
	at += strspn(at, " \t");
	if (*at++ != '=')
		return false;
	at += strspn(at, " \t");
	for (end = at + strlen(at); end > at && isspace((unsigned char)end[-1]);)
		*--end = '\0';
	return at[0] == '/' && fits(snprintf(home, PATH_MAX, "%s", at));
}

/* Who else could write the file would choose which tokens a daemon trusts. */
static bool
is_roots(FILE *conf, uid_t owner)
{
	struct stat at;

	return fstat(fileno(conf), &at) == 0 && at.st_uid == owner && (at.st_mode & 022) == 0;
}

static bool
system_home(char home[PATH_MAX])
{
	const char *path = SYSTEM_CONF;
	uid_t owner = 0;
	char line[PATH_MAX];
	bool found = false;
	FILE *conf;

#ifdef STRONGROOM_FAULTS
	if (secure_getenv("STRONGROOM_SYSTEM_CONF") != NULL) {
		path = secure_getenv("STRONGROOM_SYSTEM_CONF");
		owner = geteuid();
	}
#endif
	if ((conf = fopen(path, "re")) == NULL)
		return false;
	if (is_roots(conf, owner))
		while (!found && fgets(line, sizeof line, conf) != NULL)
			found = line_home(line, home);
	fclose(conf);
	return found;
}

hsm_status
token_home(char home[PATH_MAX])
{
	const char *named = secure_getenv("STRONGROOM_HOME");
	char own[PATH_MAX];
	bool known;

	if (named != NULL && named[0] != '\0')
		return fits(snprintf(home, PATH_MAX, "%s", named)) ? HSM_OK : HSM_E_IO;
	known = own_home(own);
	if ((known && access(own, F_OK) == 0) || !system_home(home)) {
		if (!known)
			return HSM_E_IO;
		memcpy(home, own, PATH_MAX);
	}
	return HSM_OK;
}
