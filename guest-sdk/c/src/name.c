/* Names, and the mode of what is created under them. */
#include "internal.h"

#include <string.h>
#include <sys/stat.h>

static void set_name(struct name *name, const char *stem, size_t length) {
	name->text[0] = '/';
	memcpy(name->text + 1, stem, length);
	name->text[length + 1] = '\0';
	name->string.ptr = (uint8_t *)name->text;
	name->string.len = length + 1;
}

bool file_name(struct name *name, const char *text, const char *prefix) {
	while (*text == '/')
		text++;
	size_t length = strlen(text);
	if (length + strlen(prefix) > LONGEST_NAME) {
		errno = ENAMETOOLONG;
		return false;
	}
	if (length == 0 || strchr(text, '/')) {
		errno = EINVAL;
		return false;
	}
	set_name(name, text, length);
	return true;
}

bool queue_name(struct name *name, const char *text) {
	if (text[0] != '/') {
		errno = EINVAL;
		return false;
	}
	const char *stem = text + 1;
	size_t length = strlen(stem);
	/* A slash is looked for in what could be a name at all. */
	if (length == 0)
		errno = ENOENT;
	else if (length > LONGEST_NAME)
		errno = ENAMETOOLONG;
	else if (strchr(stem, '/') || strcmp(stem, ".") == 0 || strcmp(stem, "..") == 0)
		errno = EACCES;
	else {
		set_name(name, stem, length);
		return true;
	}
	return false;
}

/* The host's mask applies whatever the guest says. A mask of the guest's own comes on top. */
static mode_t mask;
static bool masked;

mode_t umask(mode_t new_mask) {
	mode_t before = masked ? mask : 022;
	mask = new_mask & 0777;
	masked = true;
	return before;
}

uint32_t new_mode(mode_t mode) {
	return mode & 0777 & ~mask;
}
