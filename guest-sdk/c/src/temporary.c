/* Temporary files, in the folders that the host gives to the guest. */
#include "internal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLACES 6

/* How many names are tried before one is taken for taken. */
#define TRIES 100

/* Tries to make something by the name in its argument. */
typedef int maker(const char *path, int flags);

static int make_file(const char *path, int flags) {
	return open(path, flags | O_RDWR | O_CREAT | O_EXCL, 0600);
}

static int make_folder(const char *path, int flags) {
	(void)flags;
	return mkdir(path, 0700);
}

static int make(char *template, int flags, maker *try) {
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
	size_t length = strlen(template);
	char *places = template + length - PLACES;
	if (length < PLACES || strcmp(places, "XXXXXX") != 0)
		return fail_with(EINVAL);
	for (int i = 0; i < TRIES; i++) {
		unsigned char random[PLACES];
		if (getentropy(random, sizeof random) != 0)
			return -1;
		for (size_t at = 0; at < PLACES; at++)
			places[at] = letters[random[at] % (sizeof letters - 1)];
		int made = try(template, flags);
		if (made >= 0 || errno != EEXIST)
			return made;
	}
	return -1;
}

int mkostemp(char *template, int flags) {
	return make(template, flags, make_file);
}

int mkstemp(char *template) {
	return mkostemp(template, 0);
}

char *mkdtemp(char *template) {
	return make(template, 0, make_folder) < 0 ? NULL : template;
}
