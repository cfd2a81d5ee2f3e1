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

/* How many bytes the character has that a text starts with; 0 if they are no UTF-8. */
static size_t character(const unsigned char *text) {
	static const struct {
		unsigned char first, last; /* of the first byte */
		unsigned char low, high;   /* of the second byte */
		size_t length;
	} forms[] = {
		{0x01, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
		{0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
		{0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
	};
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		size_t length = forms[i].length;
		if (text[0] < forms[i].first || text[0] > forms[i].last)
			continue;
		if (length > 1 && (text[1] < forms[i].low || text[1] > forms[i].high))
			return 0;
		for (size_t at = 2; at < length; at++)
			if ((text[at] & 0xc0) != 0x80)
				return 0;
		return length;
	}
	return 0;
}

/* The host takes names as text, where natively any bytes are one. */
static bool is_text(const char *name) {
	while (*name) {
		size_t length = character((const unsigned char *)name);
		if (length == 0)
			return false;
		name += length;
	}
	return true;
}

bool file_name(struct name *name, const char *text, const char *prefix) {
	while (*text == '/')
		text++;
	size_t length = strlen(text);
	if (length + strlen(prefix) > LONGEST_NAME) {
		errno = ENAMETOOLONG;
		return false;
	}
	if (length == 0 || strchr(text, '/') || !is_text(text)) {
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
	else if (!is_text(stem))
		errno = EINVAL;
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
