/* Every error that a correct program can meet, and some that only a wrong one can: what
 * each call returns, and what errno is then. Built natively and for the sandbox, it has
 * to say the same.
 *
 * usage: errors PREFIX, of names that nobody else uses, as in /errors.123. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <semaphore.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *number_name(int number) {
	switch (number) {
	case EACCES: return "EACCES";
	case EAGAIN: return "EAGAIN";
	case EBADF: return "EBADF";
	case EBUSY: return "EBUSY";
	case EDEADLK: return "EDEADLK";
	case EEXIST: return "EEXIST";
	case EFBIG: return "EFBIG";
	case EINTR: return "EINTR";
	case EINVAL: return "EINVAL";
	case EMSGSIZE: return "EMSGSIZE";
	case ENAMETOOLONG: return "ENAMETOOLONG";
	case ENODEV: return "ENODEV";
	case ENOENT: return "ENOENT";
	case ENOMEM: return "ENOMEM";
	case EOVERFLOW: return "EOVERFLOW";
	case EPERM: return "EPERM";
	case ESPIPE: return "ESPIPE";
	case ETIMEDOUT: return "ETIMEDOUT";
	default: return strerror(number);
	}
}

#define SHOW(call) (errno = 0, show(#call, (long)(call)))

static void show(const char *call, long result) {
	int number = errno;
	if (result == -1)
		printf("%-78s -1 %s\n", call, number_name(number));
	else
		printf("%-78s %ld\n", call, result);
}

/* Of what returns an address, all that counts is whether it does. */
static long opened(sem_t *semaphore) { return semaphore == SEM_FAILED ? -1 : 0; }
static long mapped(void *memory) { return memory == MAP_FAILED ? -1 : 0; }
/* And of a descriptor. */
static long descriptor(int number) { return number < 0 ? -1 : 0; }

static char buffer[16384];
static char names[32][8192];
static unsigned named;

/* The prefix and a suffix; each call has a place of its own. */
static const char *prefix;
static const char *name(const char *suffix) {
	char *text = names[named++ % 32];
	snprintf(text, sizeof names[0], "%s.%s", prefix, suffix);
	return text;
}

/* A name with so many characters after its slash. */
static const char *of_length(size_t length) {
	char *text = names[named++ % 32];
	size_t start = (size_t)snprintf(text, sizeof names[0], "%s.", prefix);
	memset(text + start, 'x', length + 1 - start);
	text[length + 1] = '\0';
	return text;
}

static struct timespec in(long milliseconds) {
	struct timespec time;
	clock_gettime(CLOCK_REALTIME, &time);
	time.tv_sec += milliseconds / 1000;
	time.tv_nsec += milliseconds % 1000 * 1000000;
	if (time.tv_nsec >= 1000000000) {
		time.tv_sec++;
		time.tv_nsec -= 1000000000;
	}
	return time;
}

static void semaphores(void) {
	puts("# semaphores");
	SHOW(opened(sem_open(name("none"), 0)));
	SHOW(opened(sem_open(name("none"), O_EXCL)));
	SHOW(opened(sem_open("", O_CREAT, 0600, 0)));
	SHOW(opened(sem_open("/", O_CREAT, 0600, 0)));
	SHOW(opened(sem_open("/inner/slash", O_CREAT, 0600, 0)));
	SHOW(opened(sem_open(name("big"), O_CREAT, 0600, (unsigned)SEM_VALUE_MAX + 1)));
	SHOW(opened(sem_open(of_length(251), O_CREAT, 0600, 1)));
	SHOW(sem_unlink(of_length(251)));
	SHOW(opened(sem_open(of_length(252), O_CREAT, 0600, 1)));
	SHOW(sem_unlink(name("none")));
	SHOW(sem_unlink(""));
	SHOW(sem_unlink("/inner/slash"));
	SHOW(sem_unlink(of_length(252)));

	sem_t *one;
	SHOW(opened(one = sem_open(name("one"), O_CREAT | O_EXCL, 0600, 1)));
	SHOW(opened(sem_open(name("one"), O_CREAT | O_EXCL, 0600, 1)));
	SHOW(opened(sem_open(name("one"), O_CREAT, 0600, (unsigned)SEM_VALUE_MAX + 1)));
	SHOW(opened(sem_open(name("one") + 1, 0)));
	int value = -1;
	SHOW(sem_getvalue(one, &value));
	printf("value %d\n", value);
	SHOW(sem_trywait(one));
	SHOW(sem_trywait(one));
	struct timespec past = {1, 0}, soon = in(20), bad = {soon.tv_sec, 1000000000}, negative = {-1, 0};
	struct timespec below = {soon.tv_sec, -1};
	SHOW(sem_timedwait(one, &past));
	SHOW(sem_timedwait(one, &soon));
	SHOW(sem_timedwait(one, &bad));
	SHOW(sem_timedwait(one, &below));
	SHOW(sem_timedwait(one, &negative));
	SHOW(sem_post(one));
	SHOW(sem_timedwait(one, &past));
	SHOW(sem_post(one));
	SHOW(sem_timedwait(one, &bad));
	SHOW(sem_timedwait(one, &negative));
	SHOW(sem_getvalue(one, &value));
	printf("value %d\n", value);
	SHOW(sem_unlink(name("one")));
	SHOW(sem_unlink(name("one")));
	SHOW(sem_post(one));
	SHOW(sem_close(one));

	sem_t *full;
	SHOW(opened(full = sem_open(name("full"), O_CREAT, 0600, SEM_VALUE_MAX)));
	SHOW(sem_post(full));
	SHOW(sem_wait(full));
	SHOW(sem_post(full));
	SHOW(sem_close(full));
	SHOW(sem_unlink(name("full")));

	sem_t unnamed;
	SHOW(sem_init(&unnamed, 0, (unsigned)SEM_VALUE_MAX + 1));
	SHOW(sem_init(&unnamed, 0, 2));
	SHOW(sem_wait(&unnamed));
	SHOW(sem_wait(&unnamed));
	SHOW(sem_trywait(&unnamed));
	soon = in(20);
	SHOW(sem_timedwait(&unnamed, &soon));
	SHOW(sem_post(&unnamed));
	SHOW(sem_getvalue(&unnamed, &value));
	printf("value %d\n", value);
	SHOW(sem_destroy(&unnamed));
	SHOW(sem_init(&unnamed, 0, SEM_VALUE_MAX));
	SHOW(sem_post(&unnamed));
	SHOW(sem_destroy(&unnamed));
}

static void shared_memory(void) {
	puts("# shared memory");
	SHOW(descriptor(shm_open(name("none"), O_RDWR, 0)));
	SHOW(descriptor(shm_open("", O_RDWR | O_CREAT, 0600)));
	SHOW(descriptor(shm_open("/", O_RDWR | O_CREAT, 0600)));
	SHOW(descriptor(shm_open("/inner/slash", O_RDWR | O_CREAT, 0600)));
	SHOW(descriptor(shm_open(of_length(254), O_RDWR | O_CREAT, 0600)));
	SHOW(shm_unlink(of_length(254)));
	SHOW(descriptor(shm_open(of_length(256), O_RDWR | O_CREAT, 0600)));
	SHOW(shm_unlink(name("none")));
	SHOW(shm_unlink(""));
	SHOW(shm_unlink("/inner/slash"));
	SHOW(shm_unlink(of_length(256)));

	int fd = shm_open(name("memory"), O_RDWR | O_CREAT | O_EXCL, 0600);
	SHOW(descriptor(fd));
	SHOW(descriptor(shm_open(name("memory"), O_RDWR | O_CREAT | O_EXCL, 0600)));
	int reader = shm_open(name("memory"), O_RDONLY, 0);
	SHOW(descriptor(reader));
	struct stat status;
	SHOW(fstat(fd, &status));
	printf("size %lld, mode %o, regular %d\n", (long long)status.st_size, (unsigned)status.st_mode & 0777, S_ISREG(status.st_mode));
	SHOW(ftruncate(fd, -1));
	SHOW(ftruncate(reader, 100));
	SHOW(ftruncate(fd, 10000));
	SHOW(fstat(reader, &status));
	printf("size %lld\n", (long long)status.st_size);

	SHOW(write(fd, "hello", 5));
	SHOW(write(reader, "hello", 5));
	SHOW(pwrite(reader, "hello", 5, 0));
	SHOW(pwrite(fd, "world", 5, 6));
	SHOW(pwrite(fd, "world", 5, -1));
	SHOW(read(reader, buffer, 11));
	printf("read %.5s, %.5s\n", buffer, buffer + 6);
	SHOW(lseek(reader, 0, SEEK_CUR));
	SHOW(lseek(reader, -1, SEEK_SET));
	SHOW(lseek(reader, -1, SEEK_END));
	SHOW(lseek(reader, 0, 77));
	SHOW(read(reader, buffer, 100));
	SHOW(read(reader, buffer, 100));
	SHOW(pread(fd, buffer, 100, 20000));
	SHOW(pread(fd, buffer, 100, -1));
	SHOW(pwrite(fd, "grow", 4, 10000));
	SHOW(lseek(fd, 0, SEEK_END));
	SHOW(fcntl(fd, F_GETFL) == -1);
	SHOW((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR);
	SHOW((fcntl(reader, F_GETFL) & O_ACCMODE) == O_RDONLY);
	SHOW(fcntl(fd, F_GETFD) == FD_CLOEXEC);
	SHOW(fsync(fd));

	int both = PROT_READ | PROT_WRITE;
	SHOW(mapped(mmap(NULL, 0, both, MAP_SHARED, fd, 0)));
	SHOW(mapped(mmap(NULL, 100, both, MAP_SHARED, fd, 1)));
	SHOW(mapped(mmap(NULL, 100, both, 0, fd, 0)));
	SHOW(mapped(mmap(NULL, 100, both, MAP_SHARED, -1, 0)));
	SHOW(mapped(mmap(NULL, 100, both, MAP_SHARED, 12345, 0)));
	SHOW(mapped(mmap(NULL, 100, both, MAP_SHARED, reader, 0)));
	SHOW(mapped(mmap(NULL, SIZE_MAX, both, MAP_SHARED, fd, 0)));
	SHOW(mapped(mmap(NULL, 100, both, MAP_PRIVATE, reader, 0)));
	char *memory;
	SHOW(mapped(memory = mmap(NULL, 10000, both, MAP_SHARED, fd, 0)));
	printf("mapped %.5s\n", memory);
	SHOW(msync(memory, 10000, MS_SYNC));
	SHOW(msync(memory, 10000, MS_SYNC | MS_INVALIDATE));
	SHOW(msync(memory, 10000, MS_SYNC | MS_ASYNC));
	SHOW(msync(memory, 10000, 1 << 20));
	SHOW(msync(memory + 1, 10000, MS_SYNC));
	SHOW(mprotect(memory, 10000, PROT_READ));
	SHOW(mprotect(memory + 1, 100, PROT_READ));
	SHOW(munmap(memory, 0));
	SHOW(munmap(memory + 1, 10000));
	SHOW(munmap(memory, 10000));
	SHOW(msync(memory, 10000, MS_SYNC));
	SHOW(mapped(memory = mmap(NULL, 10000, PROT_READ, MAP_SHARED, reader, 0)));
	SHOW(mprotect(memory, 10000, both));
	SHOW(munmap(memory, 10000));

	SHOW(descriptor(shm_open(name("memory"), O_RDWR | O_TRUNC, 0)));
	SHOW(fstat(fd, &status));
	printf("size %lld\n", (long long)status.st_size);
	SHOW(close(reader));
	SHOW(close(reader));
	SHOW(read(reader, buffer, 1));
	SHOW(fstat(reader, &status));
	SHOW(ftruncate(reader, 1));
	SHOW(close(-1));
	SHOW(shm_unlink(name("memory")));
	SHOW(shm_unlink(name("memory")));
	SHOW(ftruncate(fd, 1));
	SHOW(close(fd));
}

static void queues(void) {
	puts("# queues");
	struct mq_attr four = {.mq_maxmsg = 4, .mq_msgsize = 100}, attributes;
	struct mq_attr none = {.mq_maxmsg = 0, .mq_msgsize = 100}, empty = {.mq_maxmsg = 4, .mq_msgsize = 0};
	struct mq_attr negative = {.mq_maxmsg = -1, .mq_msgsize = 100};
	SHOW(descriptor(mq_open(name("none"), O_RDWR)));
	SHOW(descriptor(mq_open("", O_RDWR)));
	SHOW(descriptor(mq_open("none", O_RDWR | O_CREAT, 0600, &four)));
	SHOW(descriptor(mq_open("/", O_RDWR | O_CREAT, 0600, &four)));
	SHOW(descriptor(mq_open("/inner/slash", O_RDWR | O_CREAT, 0600, &four)));
	SHOW(descriptor(mq_open("/..", O_RDWR | O_CREAT, 0600, &four)));
	SHOW(descriptor(mq_open(of_length(255), O_RDWR | O_CREAT, 0600, &four)));
	SHOW(mq_unlink(of_length(255)));
	SHOW(descriptor(mq_open(of_length(256), O_RDWR | O_CREAT, 0600, &four)));
	SHOW(descriptor(mq_open(name("bad"), O_RDWR | O_CREAT, 0600, &none)));
	SHOW(descriptor(mq_open(name("bad"), O_RDWR | O_CREAT, 0600, &empty)));
	SHOW(descriptor(mq_open(name("bad"), O_RDWR | O_CREAT, 0600, &negative)));
	SHOW(mq_unlink(name("none")));
	SHOW(mq_unlink(""));
	SHOW(mq_unlink("none"));
	SHOW(mq_unlink("/"));
	SHOW(mq_unlink("/inner/slash"));
	SHOW(mq_unlink(of_length(256)));

	mqd_t queue = mq_open(name("four"), O_RDWR | O_CREAT | O_EXCL | O_NONBLOCK, 0600, &four);
	SHOW(descriptor(queue));
	SHOW(descriptor(mq_open(name("four"), O_RDWR | O_CREAT | O_EXCL, 0600, &four)));
	mqd_t other = mq_open(name("four"), O_RDWR | O_CREAT, 0600, &none);
	SHOW(descriptor(other));
	mqd_t reader = mq_open(name("four"), O_RDONLY);
	mqd_t writer = mq_open(name("four"), O_WRONLY);
	SHOW(descriptor(reader));
	SHOW(descriptor(writer));
	SHOW(mq_getattr(queue, &attributes));
	printf("flags %d, %ld messages of %ld, %ld now\n", attributes.mq_flags == O_NONBLOCK,
		attributes.mq_maxmsg, attributes.mq_msgsize, attributes.mq_curmsgs);
	SHOW(mq_getattr(-1, &attributes));
	SHOW(mq_getattr(0, &attributes));

	SHOW(mq_receive(queue, buffer, 100, NULL));
	SHOW(mq_receive(queue, buffer, 99, NULL));
	SHOW(mq_receive(writer, buffer, 100, NULL));
	SHOW(mq_receive(-1, buffer, 100, NULL));
	SHOW(mq_send(reader, "x", 1, 0));
	SHOW(mq_send(-1, "x", 1, 0));
	SHOW(mq_send(queue, buffer, 101, 0));
	SHOW(mq_send(queue, "x", 1, MQ_PRIO_MAX));
	SHOW(mq_send(queue, "x", 1, (unsigned)-1));
	SHOW(mq_send(-1, "x", 1, MQ_PRIO_MAX));
	struct timespec past = {1, 0}, soon = in(20), bad = {soon.tv_sec, 1000000000}, before = {-1, 0};
	SHOW(mq_timedreceive(other, buffer, 100, NULL, &past));
	SHOW(mq_timedreceive(other, buffer, 100, NULL, &soon));
	SHOW(mq_timedreceive(other, buffer, 100, NULL, &bad));
	SHOW(mq_timedreceive(other, buffer, 100, NULL, &before));
	SHOW(mq_timedreceive(queue, buffer, 100, NULL, &past));
	SHOW(mq_timedreceive(-1, buffer, 100, NULL, &bad));
	SHOW(mq_timedreceive(-1, buffer, 100, NULL, &past));

	SHOW(mq_send(queue, "low", 3, 0));
	SHOW(mq_send(queue, "", 0, 5));
	SHOW(mq_send(writer, "high", 4, MQ_PRIO_MAX - 1));
	SHOW(mq_send(queue, "middle", 6, 100));
	SHOW(mq_send(queue, "none", 4, 100));
	SHOW(mq_timedsend(other, "none", 4, 100, &past));
	soon = in(20);
	SHOW(mq_timedsend(other, "none", 4, 100, &soon));
	SHOW(mq_timedsend(other, "none", 4, 100, &bad));
	SHOW(mq_timedsend(queue, "none", 4, 100, &past));
	unsigned priority = 0;
	for (int i = 0; i < 4; i++) {
		long length = mq_receive(other, buffer, sizeof buffer, &priority);
		printf("%ld bytes, %.*s, priority %u\n", length, (int)length, buffer, priority);
	}
	SHOW(mq_send(queue, "late", 4, 1));
	SHOW(mq_timedreceive(other, buffer, 100, &priority, &past));
	SHOW(mq_send(queue, "late", 4, 1));
	SHOW(mq_timedreceive(other, buffer, 100, &priority, &bad));
	SHOW(mq_receive(other, buffer, 100, &priority));

	attributes.mq_flags = O_NONBLOCK;
	struct mq_attr old;
	SHOW(mq_setattr(other, &attributes, &old));
	printf("flags before %d\n", old.mq_flags == O_NONBLOCK);
	SHOW(mq_receive(other, buffer, 100, NULL));
	attributes.mq_flags = 1 << 30 | O_NONBLOCK;
	SHOW(mq_setattr(other, &attributes, NULL));
	attributes.mq_flags = 0;
	SHOW(mq_setattr(other, &attributes, &old));
	printf("flags before %d\n", old.mq_flags == O_NONBLOCK);
	SHOW(mq_setattr(-1, &attributes, NULL));

	struct sigevent event = {.sigev_notify = 77};
	SHOW(mq_notify(queue, &event));
	event.sigev_notify = SIGEV_SIGNAL;
	event.sigev_signo = 1000;
	SHOW(mq_notify(queue, &event));
	event.sigev_notify = SIGEV_NONE;
	SHOW(mq_notify(-1, &event));
	SHOW(mq_notify(queue, &event));
	SHOW(mq_notify(queue, &event));
	SHOW(mq_notify(other, &event));
	SHOW(mq_notify(queue, NULL));
	SHOW(mq_notify(queue, NULL));
	SHOW(mq_notify(other, &event));
	SHOW(mq_close(other));
	SHOW(mq_notify(queue, &event));

	SHOW(mq_unlink(name("four")));
	SHOW(mq_unlink(name("four")));
	SHOW(mq_send(queue, "still", 5, 0));
	SHOW(mq_close(queue));
	SHOW(mq_close(queue));
	SHOW(mq_close(-1));
	SHOW(mq_send(queue, "gone", 4, 0));
}

static void signals(void) {
	puts("# signals");
	struct sigaction action = {0};
	sigset_t set;
	SHOW(sigaction(0, &action, NULL));
	SHOW(sigaction(65, &action, NULL));
	SHOW(sigaction(SIGKILL, &action, NULL));
	SHOW(sigemptyset(&set));
	SHOW(sigaddset(&set, 0));
	SHOW(sigaddset(&set, 65));
	SHOW(sigaddset(&set, SIGUSR1));
	SHOW(sigismember(&set, SIGUSR1));
	SHOW(sigismember(&set, SIGUSR2));
	SHOW(sigprocmask(77, &set, NULL));
	SHOW(sigprocmask(SIG_BLOCK, &set, NULL));
	SHOW(raise(SIGUSR1));
	SHOW(sigpending(&set));
	SHOW(sigismember(&set, SIGUSR1));
	struct timespec none = {0, 0}, bad = {0, 1000000000};
	SHOW(sigtimedwait(&set, NULL, &bad));
	SHOW(sigtimedwait(&set, NULL, &none) == SIGUSR1);
	SHOW(sigtimedwait(&set, NULL, &none));
}

int main(int argc, char **argv) {
	if (argc != 2)
		return 2;
	prefix = argv[1];
	semaphores();
	shared_memory();
	queues();
	signals();
	return 0;
}
