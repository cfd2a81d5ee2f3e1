/* What the programs of the laboratory share. Each is started as
 *
 *   PROGRAM NUMBER [right]
 *
 * several times at once, with numbers from 0 on. Without "right" it has the mistake that
 * its first comment tells of. All of it is plain POSIX: the programs run natively too. */
#ifndef LAB_H
#define LAB_H

#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int number;
static bool right;

static void fail(const char *what)
{
	perror(what);
	exit(1);
}

/* Ends the program with an error if what must hold does not. */
static void check(bool holds, const char *what)
{
	if (!holds) {
		printf("%d: %s\n", number, what);
		exit(1);
	}
}

static sem_t *semaphore(const char *name, unsigned value)
{
	sem_t *opened = sem_open(name, O_CREAT, 0600, value);
	if (opened == SEM_FAILED)
		fail(name);
	return opened;
}

static mqd_t queue(const char *name, int flags, long messages)
{
	struct mq_attr limits = {.mq_maxmsg = messages, .mq_msgsize = 8};
	mqd_t opened = mq_open(name, O_CREAT | flags, 0600, &limits);
	if (opened == (mqd_t)-1)
		fail(name);
	return opened;
}

/* A descriptor of shared memory that starts as zeros. */
static int memory(const char *name, off_t size)
{
	int opened = shm_open(name, O_CREAT | O_RDWR, 0600);
	if (opened < 0 || ftruncate(opened, size) < 0)
		fail(name);
	return opened;
}

static int load(int memory, int index)
{
	int value;
	if (pread(memory, &value, sizeof value, index * (off_t)sizeof value) != sizeof value)
		fail("pread");
	return value;
}

static void store(int memory, int index, int value)
{
	if (pwrite(memory, &value, sizeof value, index * (off_t)sizeof value) != sizeof value)
		fail("pwrite");
}

static void start(int argc, char **argv)
{
	number = argc > 1 ? atoi(argv[1]) : 0;
	right = argc > 2 && strcmp(argv[2], "right") == 0;
}

#endif
