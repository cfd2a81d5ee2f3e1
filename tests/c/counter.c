/* A counter that several programs add to, guarded by a semaphore that lies beside it in
 * shared memory. Every program also has a byte of its own there, next to those of the
 * others, that no semaphore guards.
 *
 * usage: counter create|show NAME
 *        counter add NAME PLACE TIMES */
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLACES 16

struct shared {
	sem_t lock;
	long long count;
	int last;
	unsigned char marks[PLACES];
};

static void die(const char *what) {
	perror(what);
	exit(1);
}

int main(int argc, char **argv) {
	if (argc < 3)
		return 2;
	const char *role = argv[1], *name = argv[2];
	int creates = strcmp(role, "create") == 0;
	int fd = shm_open(name, creates ? O_RDWR | O_CREAT | O_EXCL : O_RDWR, 0600);
	if (fd < 0)
		die("shm_open");
	if (creates && ftruncate(fd, sizeof(struct shared)) != 0)
		die("ftruncate");
	struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (shared == MAP_FAILED)
		die("mmap");
	if (creates) {
		if (sem_init(&shared->lock, 1, 1) != 0)
			die("sem_init");
		return 0;
	}
	if (strcmp(role, "show") == 0) {
		int value;
		if (sem_getvalue(&shared->lock, &value) != 0)
			die("sem_getvalue");
		printf("count %lld, lock %d, marks", shared->count, value);
		for (int i = 0; i < PLACES; i++)
			printf(" %d", shared->marks[i]);
		puts("");
		sem_destroy(&shared->lock);
		shm_unlink(name);
		return 0;
	}
	if (argc != 5)
		return 2;
	int place = atoi(argv[3]), times = atoi(argv[4]), turns = 0;
	for (int i = 1; i <= times; i++) {
		shared->marks[place] = (unsigned char)i;
		if (sem_wait(&shared->lock) != 0)
			die("sem_wait");
		shared->count++;
		turns += shared->last != place;
		shared->last = place;
		if (sem_post(&shared->lock) != 0)
			die("sem_post");
	}
	fprintf(stderr, "%d took turns %d times\n", place, turns);
	return 0;
}
