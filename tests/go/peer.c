/* The native peer of the guest `kinds`.
 *
 * usage: peer PREFIX */
#include <fcntl.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define TIMES 200

static void die(const char *what) {
	perror(what);
	exit(1);
}

static char *name(const char *prefix, const char *suffix) {
	static char text[256];
	snprintf(text, sizeof text, "%s.%s", prefix, suffix);
	return text;
}

int main(int argc, char **argv) {
	if (argc != 2)
		return 2;
	struct mq_attr attributes = {.mq_maxmsg = 4, .mq_msgsize = 32};
	int fd = shm_open(name(argv[1], "memory"), O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0 || ftruncate(fd, 4096) != 0)
		die("shm_open");
	_Atomic unsigned *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	sem_t *gate = sem_open(name(argv[1], "gate"), O_CREAT | O_EXCL, 0600, 1);
	mqd_t asked = mq_open(name(argv[1], "asked"), O_WRONLY | O_CREAT, 0600, &attributes);
	mqd_t answers = mq_open(name(argv[1], "answers"), O_RDONLY | O_CREAT, 0600, &attributes);
	if (memory == MAP_FAILED || gate == SEM_FAILED || asked == -1 || answers == -1)
		die("open");

	unsigned own = 0;
	for (unsigned i = 1; i <= TIMES; i++) {
		char text[33];
		unsigned priority;
		if (mq_send(asked, text, (size_t)sprintf(text, "%u", i), i) != 0)
			die("mq_send");
		/* Without the semaphore one of the two would be lost at times. */
		sem_wait(gate);
		unsigned before = atomic_load_explicit(memory, memory_order_relaxed);
		atomic_store_explicit(memory, before + 1000000, memory_order_relaxed);
		sem_post(gate);
		own++;
		ssize_t length = mq_receive(answers, text, sizeof text - 1, &priority);
		if (length < 0)
			die("mq_receive");
		text[length] = '\0';
		if (priority != i || strtoul(text, NULL, 10) % 1000000 != i * (i + 1) / 2) {
			printf("answer %s, priority %u, to %u\n", text, priority, i);
			return 1;
		}
	}
	mq_send(asked, "", 0, 0);
	struct timespec limit = {30, 0};
	while (atomic_load(memory + 1) == 0)
		syscall(SYS_futex, memory + 1, FUTEX_WAIT, 0, &limit, NULL, 0);
	printf("total %u\n", atomic_load(memory) - own * 1000000);
	sem_unlink(name(argv[1], "gate"));
	shm_unlink(name(argv[1], "memory"));
	mq_unlink(name(argv[1], "asked"));
	mq_unlink(name(argv[1], "answers"));
	return 0;
}
