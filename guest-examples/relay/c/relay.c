/* A stage of a relay, see ../README.md. The same source is the native program and the
 * guest.
 *
 * usage: relay produce PREFIX COUNT
 *        relay consume PREFIX */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SLOTS = 4, HEADER = 64, SLOT_SIZE = 4096, SIZE = HEADER + SLOTS * SLOT_SIZE };
enum { FREE, FILLED, TRANSFORMED };

/* Little-endian on the wire, as both sides are. */
struct job {
	uint32_t slot, length, seed, checksum;
};

static mqd_t jobs;
static sem_t *room, *lock;
static unsigned char *memory;

static void die(const char *what) {
	fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void fail(const char *what, uint32_t seed) {
	fprintf(stderr, "relay: job %u: wrong %s\n", (unsigned)seed, what);
	exit(1);
}

static const char *name(const char *prefix, const char *suffix) {
	static char text[256];
	snprintf(text, sizeof text, "%s.%s", prefix, suffix);
	return text;
}

static unsigned char *slot(uint32_t index) {
	return memory + HEADER + index * SLOT_SIZE;
}

static uint32_t payload(uint32_t seed, unsigned char *bytes) {
	uint32_t x = seed * 2654435761u, length = 1 + (x >> 16) % SLOT_SIZE;
	for (uint32_t i = 0; i < length; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		bytes[i] = (unsigned char)x;
	}
	return length;
}

static uint32_t fnv(const unsigned char *bytes, uint32_t length) {
	uint32_t hash = 2166136261u;
	for (uint32_t i = 0; i < length; i++)
		hash = (hash ^ bytes[i]) * 16777619u;
	return hash;
}

/* The state of a slot, under the lock: others change its neighbours. */
static void set_state(uint32_t index, unsigned char state) {
	if (sem_wait(lock) != 0)
		die("sem_wait");
	memory[index] = state;
	if (sem_post(lock) != 0)
		die("sem_post");
}

static unsigned char state(uint32_t index) {
	if (sem_wait(lock) != 0)
		die("sem_wait");
	unsigned char found = memory[index];
	if (sem_post(lock) != 0)
		die("sem_post");
	return found;
}

static sem_t *open_semaphore(const char *text, int flags, unsigned value) {
	sem_t *opened = sem_open(text, flags, 0600, value);
	if (opened == SEM_FAILED)
		die(text);
	return opened;
}

static void map(int fd) {
	memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		die("mmap");
	close(fd);
}

/* ---- producing ---------------------------------------------------------------------- */

static uint32_t in_slot[SLOTS]; /* the seed of what was put there last */

static void verify_transformed(uint32_t index) {
	static unsigned char expected[SLOT_SIZE];
	uint32_t length = payload(in_slot[index], expected);
	for (uint32_t i = 0; i < length; i++)
		if (slot(index)[i] != (expected[i] ^ 0x5a))
			fail("transformed byte", in_slot[index]);
	set_state(index, FREE);
}

/* Waits until a slot is not in use, and returns it free. */
static uint32_t take_slot(void) {
	if (sem_wait(room) != 0)
		die("sem_wait");
	for (uint32_t index = 0; index < SLOTS; index++) {
		unsigned char found = state(index);
		if (found == FILLED)
			continue;
		if (found == TRANSFORMED)
			verify_transformed(index);
		return index;
	}
	fail("count of free slots", 0);
	return 0;
}

static void produce(const char *prefix, uint32_t count) {
	room = open_semaphore(name(prefix, "room"), O_CREAT | O_EXCL, SLOTS);
	lock = open_semaphore(name(prefix, "lock"), O_CREAT | O_EXCL, 1);
	int fd = shm_open(name(prefix, "slots"), O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0 || ftruncate(fd, SIZE) != 0)
		die("shm_open");
	map(fd);
	/* The queue comes last: where it is, the others are. */
	struct mq_attr attributes = {.mq_maxmsg = 8, .mq_msgsize = sizeof(struct job)};
	jobs = mq_open(name(prefix, "jobs"), O_WRONLY | O_CREAT | O_EXCL, 0600, &attributes);
	if (jobs == (mqd_t)-1)
		die("mq_open");

	unsigned long bytes = 0;
	for (uint32_t seed = 1; seed <= count; seed++) {
		uint32_t index = take_slot();
		struct job job = {.slot = index, .seed = seed};
		job.length = payload(seed, slot(index));
		job.checksum = fnv(slot(index), job.length);
		in_slot[index] = seed;
		set_state(index, FILLED);
		bytes += job.length;
		if (mq_send(jobs, (char *)&job, sizeof job, 1 + seed % 3) != 0)
			die("mq_send");
	}
	for (int i = 0; i < SLOTS; i++)
		if (sem_wait(room) != 0)
			die("sem_wait");
	for (uint32_t index = 0; index < SLOTS; index++) {
		unsigned char found = state(index);
		if (found == FILLED)
			fail("count of free slots", in_slot[index]);
		if (found == TRANSFORMED)
			verify_transformed(index);
	}
	if (mq_send(jobs, "", 0, 0) != 0)
		die("mq_send");
	sem_unlink(name(prefix, "room"));
	sem_unlink(name(prefix, "lock"));
	shm_unlink(name(prefix, "slots"));
	mq_unlink(name(prefix, "jobs"));
	printf("produced %u jobs, %lu bytes\n", (unsigned)count, bytes);
}

/* ---- consuming ---------------------------------------------------------------------- */

static void consume(const char *prefix) {
	while ((jobs = mq_open(name(prefix, "jobs"), O_RDONLY)) == (mqd_t)-1) {
		if (errno != ENOENT)
			die("mq_open");
		usleep(1000);
	}
	room = open_semaphore(name(prefix, "room"), 0, 0);
	lock = open_semaphore(name(prefix, "lock"), 0, 0);
	int fd = shm_open(name(prefix, "slots"), O_RDWR, 0);
	if (fd < 0)
		die("shm_open");
	map(fd);

	static unsigned char expected[SLOT_SIZE];
	unsigned count = 0;
	unsigned long bytes = 0;
	uint32_t checksum = 0;
	for (;;) {
		struct job job;
		unsigned priority;
		ssize_t length = mq_receive(jobs, (char *)&job, sizeof job, &priority);
		if (length < 0)
			die("mq_receive");
		if (length == 0)
			break;
		if (job.slot >= SLOTS || state(job.slot) != FILLED)
			fail("slot", job.seed);
		if (priority != 1 + job.seed % 3)
			fail("priority", job.seed);
		unsigned char *found = slot(job.slot);
		if (job.length != payload(job.seed, expected))
			fail("length", job.seed);
		if (memcmp(found, expected, job.length) != 0)
			fail("byte", job.seed);
		if (job.checksum != fnv(found, job.length))
			fail("checksum", job.seed);
		for (uint32_t i = 0; i < job.length; i++)
			found[i] ^= 0x5a;
		set_state(job.slot, TRANSFORMED);
		if (sem_post(room) != 0)
			die("sem_post");
		count++;
		bytes += job.length;
		checksum += job.checksum;
	}
	printf("consumed %u jobs, %lu bytes, checksum %08x\n", count, bytes, (unsigned)checksum);
}

int main(int argc, char **argv) {
	if (argc == 4 && strcmp(argv[1], "produce") == 0) {
		produce(argv[2], (uint32_t)strtoul(argv[3], NULL, 10));
	} else if (argc == 3 && strcmp(argv[1], "consume") == 0) {
		consume(argv[2]);
	} else {
		fprintf(stderr, "usage: relay produce PREFIX COUNT\n       relay consume PREFIX\n");
		return 2;
	}
	return 0;
}
