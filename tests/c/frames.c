/* A ring of frames in shared memory, with a semaphore for those that are free and one for
 * those that are filled.
 *
 * usage: frames make|take PREFIX COUNT
 *
 * The taker creates everything and removes it; the maker waits until it is there. */
#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define FRAMES 4
#define PIXELS 5000

struct frame {
	int number;
	unsigned char pixels[PIXELS];
	unsigned sum;
};

struct ring {
	int ready;
	struct frame frames[FRAMES];
};

static void die(const char *what) {
	perror(what);
	exit(1);
}

static char *name(const char *prefix, const char *suffix) {
	static char names[3][256];
	static int next;
	char *text = names[next++ % 3];
	snprintf(text, sizeof names[0], "%s.%s", prefix, suffix);
	return text;
}

static sem_t *semaphore(const char *text, unsigned value) {
	sem_t *opened = sem_open(text, O_CREAT, 0600, value);
	if (opened == SEM_FAILED)
		die(text);
	return opened;
}

static unsigned sum(const struct frame *frame) {
	unsigned all = (unsigned)frame->number;
	for (int i = 0; i < PIXELS; i++)
		all = all * 31 + frame->pixels[i];
	return all;
}

static struct ring *map(int fd) {
	struct ring *ring = mmap(NULL, sizeof *ring, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ring == MAP_FAILED)
		die("mmap");
	close(fd);
	return ring;
}

static void make(const char *prefix, int count) {
	int fd;
	struct stat status = {0};
	/* The taker may not have come so far. */
	while ((fd = shm_open(name(prefix, "ring"), O_RDWR, 0)) < 0) {
		if (errno != ENOENT)
			die("shm_open");
		usleep(1000);
	}
	while (fstat(fd, &status) == 0 && status.st_size < (off_t)sizeof(struct ring))
		usleep(1000);
	struct ring *ring = map(fd);
	while (!*(volatile int *)&ring->ready)
		usleep(1000);
	sem_t *room = semaphore(name(prefix, "free"), FRAMES);
	sem_t *filled = semaphore(name(prefix, "filled"), 0);
	for (int i = 0; i < count; i++) {
		if (sem_wait(room) != 0)
			die("sem_wait");
		struct frame *frame = &ring->frames[i % FRAMES];
		frame->number = i;
		for (int p = 0; p < PIXELS; p++)
			frame->pixels[p] = (unsigned char)(i * 7 + p / 3);
		frame->sum = sum(frame);
		if (sem_post(filled) != 0)
			die("sem_post");
	}
	sem_close(room);
	sem_close(filled);
	munmap(ring, sizeof *ring);
	printf("made %d frames\n", count);
}

static void take(const char *prefix, int count) {
	int fd = shm_open(name(prefix, "ring"), O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		die("shm_open");
	sem_t *room = semaphore(name(prefix, "free"), FRAMES);
	sem_t *filled = semaphore(name(prefix, "filled"), 0);
	if (ftruncate(fd, sizeof(struct ring)) != 0)
		die("ftruncate");
	struct ring *ring = map(fd);
	ring->ready = 1;
	unsigned all = 0;
	int wrong = 0;
	for (int i = 0; i < count; i++) {
		if (sem_wait(filled) != 0)
			die("sem_wait");
		struct frame *frame = &ring->frames[i % FRAMES];
		wrong += frame->number != i || frame->sum != sum(frame);
		all = all * 31 + frame->sum;
		if (sem_post(room) != 0)
			die("sem_post");
	}
	int value;
	sem_getvalue(room, &value);
	printf("took %d frames, %d wrong, sum %08x, %d free\n", count, wrong, all, value);
	sem_unlink(name(prefix, "free"));
	sem_unlink(name(prefix, "filled"));
	shm_unlink(name(prefix, "ring"));
}

int main(int argc, char **argv) {
	if (argc != 4)
		return 2;
	if (strcmp(argv[1], "make") == 0)
		make(argv[2], atoi(argv[3]));
	else
		take(argv[2], atoi(argv[3]));
	return 0;
}
