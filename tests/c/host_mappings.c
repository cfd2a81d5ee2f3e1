/* Mappings that are the object itself, natively and where the host maps it for the guest.
 *
 * usage: host_mappings create MEMORY SEMAPHORE
 *        host_mappings same MEMORY QUEUE FILE
 *        host_mappings count MEMORY SEMAPHORE TIMES */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#define SIZE 8192

static void die(const char *what) {
	perror(what);
	exit(1);
}

static char *map(const char *name) {
	int fd = shm_open(name, O_RDWR, 0);
	char *memory = fd < 0 ? MAP_FAILED : mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		die(name);
	close(fd);
	return memory;
}

static unsigned sum(const char *bytes, size_t length) {
	unsigned sum = 0;
	while (length-- > 0)
		sum = sum * 31 + (unsigned char)*bytes++;
	return sum;
}

/* Every way in which bytes get there and away. */
static void same(const char *name, const char *queue_name, const char *path) {
	char *memory = map(name), own[1000], more[1200];
	for (int i = 0; i < 1000; i++)
		own[i] = (char)(i * 7);
	for (int i = 0; i < 1200; i++)
		more[i] = (char)(i * 11 + i / 256);
	for (size_t length = 0; length < 300; length += 37)
		for (size_t skew = 0; skew < 20; skew += 3) {
			memcpy(memory + skew, own, length);
			memmove(memory + skew + 5, memory + skew, length);
			memmove(memory + skew, memory + skew + 9, length);
			memset(memory + 600, (int)length, length);
			memcpy(own + 500, memory + skew, length);
			printf("%zu %zu %x %x\n", length, skew, sum(memory, 1000), sum(own, 1000));
		}
	/* As long as several steps of a copy, or nearly. */
	for (size_t length = 511; length < 1200; length += 171)
		for (size_t skew = 0; skew < 20; skew += 9) {
			memcpy(memory + 1000 + skew, more, length);
			memmove(memory + 1000 + skew + 5, memory + 1000 + skew, length);
			memmove(memory + 1000 + skew, memory + 1000 + skew + 9, length);
			memset(memory + 3000, (int)length, length);
			printf("%zu %zu %x\n", length, skew, sum(memory + 1000, 3500));
		}
	struct { char bytes[700]; } *there = (void *)memory, here = *there;
	*there = here;
	printf("struct %x %x\n", sum(memory, 1000), sum(here.bytes, 700));

	snprintf(memory, 100, "printed %d\n", 12);
	fflush(stdout);
	write(1, memory, strlen(memory));
	struct iovec parts[] = {{"with ", 5}, {memory, strlen(memory)}};
	writev(1, parts, 2);
	fputs(memory, stdout);
	fwrite(memory, 1, strlen(memory), stdout);
	printf("%s", memory);

	int fd = shm_open(name, O_RDWR, 0);
	printf("pwrite %ld\n", (long)pwrite(fd, memory, 7, 5000));
	printf("pread %ld %.7s\n", (long)pread(fd, memory + 6000, 7, 5000), memory + 6000);
	close(fd);

	struct mq_attr size = {.mq_maxmsg = 2, .mq_msgsize = 64};
	mqd_t queue = mq_open(queue_name, O_RDWR | O_CREAT, 0600, &size);
	if (queue == (mqd_t)-1)
		die(queue_name);
	printf("send %d\n", mq_send(queue, memory, 7, 0));
	printf("receive %ld %.7s\n", (long)mq_receive(queue, memory + 100, 64, NULL), memory + 100);
	mq_unlink(queue_name);

	fd = open(path, O_RDONLY);
	if (fd < 0)
		die(path);
	printf("read %ld %.5s\n", (long)read(fd, memory + 200, 5), memory + 200);
	close(fd);
	FILE *file = fopen(path, "r");
	printf("fread %zu %.11s\n", fread(memory + 300, 1, 11, file), memory + 300);
}

struct counters {
	atomic_uint started, small;
	atomic_ullong large;
	unsigned under_named, under_unnamed;
	sem_t unnamed;
};

static void create(const char *name, const char *semaphore) {
	int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0 || ftruncate(fd, SIZE) != 0)
		die(name);
	struct counters *counters = (void *)map(name);
	sem_init(&counters->unnamed, 1, 1);
	if (sem_open(semaphore, O_CREAT | O_EXCL, 0600, 1) == SEM_FAILED)
		die(semaphore);
}

/* At the same time as another one that does. */
static void count(const char *name, const char *semaphore, int times) {
	struct counters *counters = (void *)map(name);
	sem_t *named = sem_open(semaphore, 0);
	if (named == SEM_FAILED)
		die(semaphore);
	counters->started++;
	while (counters->started < 2)
		sched_yield();
	for (int i = 0; i < times; i++) {
		/* That this is a variable of the thread has cost others their atomics. */
		errno = 0;
		counters->small++;
		counters->large += 0x100000001;
	}
	for (int i = 0; i < times / 10; i++) {
		sem_wait(named);
		counters->under_named++;
		sem_post(named);
		sem_wait(&counters->unnamed);
		counters->under_unnamed++;
		sem_post(&counters->unnamed);
	}
	printf("counted\n");
}

int main(int argc, char **argv) {
	if (argc == 4 && strcmp(argv[1], "create") == 0)
		create(argv[2], argv[3]);
	else if (argc == 5 && strcmp(argv[1], "same") == 0)
		same(argv[2], argv[3], argv[4]);
	else if (argc == 5 && strcmp(argv[1], "count") == 0)
		count(argv[2], argv[3], atoi(argv[4]));
	else
		return 2;
	return 0;
}
