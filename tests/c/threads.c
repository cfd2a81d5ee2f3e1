/* What one thread has of <pthread.h>, and of the process that it is in. A guest and a native
 * program say the same. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char *said(int number) {
	switch (number) {
	case 0: return "0";
	case EAGAIN: return "EAGAIN";
	case EBUSY: return "EBUSY";
	case ECHILD: return "ECHILD";
	case EDEADLK: return "EDEADLK";
	case EINVAL: return "EINVAL";
	case EPERM: return "EPERM";
	case ETIMEDOUT: return "ETIMEDOUT";
	default: return strerror(number);
	}
}

#define SHOW(call) printf("%d: %s\n", __LINE__, said(call))
#define SHOW_ERRNO(call) printf("%d: %s\n", __LINE__, (call) == -1 ? said(errno) : "0")

static struct timespec soon(clockid_t clock) {
	struct timespec time;
	clock_gettime(clock, &time);
	time.tv_nsec += 5000000;
	if (time.tv_nsec >= 1000000000) {
		time.tv_sec++;
		time.tv_nsec -= 1000000000;
	}
	return time;
}

static void mutexes(void) {
	static pthread_mutex_t plain = PTHREAD_MUTEX_INITIALIZER;
	pthread_mutex_t mutex;
	pthread_mutexattr_t attributes;
	struct timespec end = soon(CLOCK_REALTIME);

	SHOW(pthread_mutex_lock(&plain));
	SHOW(pthread_mutex_trylock(&plain));
	SHOW(pthread_mutex_timedlock(&plain, &end));
	SHOW(pthread_mutex_unlock(&plain));
	SHOW(pthread_mutex_trylock(&plain));
	SHOW(pthread_mutex_destroy(&plain));

	pthread_mutexattr_init(&attributes);
	SHOW(pthread_mutexattr_settype(&attributes, 77));
	SHOW(pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ERRORCHECK));
	SHOW(pthread_mutex_init(&mutex, &attributes));
	SHOW(pthread_mutex_unlock(&mutex));
	SHOW(pthread_mutex_lock(&mutex));
	SHOW(pthread_mutex_lock(&mutex));
	SHOW(pthread_mutex_unlock(&mutex));

	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&mutex, &attributes);
	SHOW(pthread_mutex_lock(&mutex));
	SHOW(pthread_mutex_trylock(&mutex));
	SHOW(pthread_mutex_unlock(&mutex));
	SHOW(pthread_mutex_unlock(&mutex));
	SHOW(pthread_mutex_unlock(&mutex));
	SHOW(pthread_mutex_destroy(&mutex));
}

static void other_locks(void) {
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
	struct timespec end = soon(CLOCK_REALTIME);
	pthread_mutex_lock(&mutex);
	SHOW(pthread_cond_signal(&condition));
	SHOW(pthread_cond_timedwait(&condition, &mutex, &end));
	SHOW(pthread_mutex_trylock(&mutex));
	SHOW(pthread_cond_broadcast(&condition));

	pthread_condattr_t attributes;
	pthread_condattr_init(&attributes);
	SHOW(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC));
	SHOW(pthread_cond_init(&condition, &attributes));
	end = soon(CLOCK_MONOTONIC);
	SHOW(pthread_cond_timedwait(&condition, &mutex, &end));
	end.tv_nsec = -1;
	SHOW(pthread_cond_timedwait(&condition, &mutex, &end));

	pthread_rwlock_t rwlock = PTHREAD_RWLOCK_INITIALIZER;
	SHOW(pthread_rwlock_rdlock(&rwlock));
	SHOW(pthread_rwlock_tryrdlock(&rwlock));
	SHOW(pthread_rwlock_trywrlock(&rwlock));
	pthread_rwlock_unlock(&rwlock);
	pthread_rwlock_unlock(&rwlock);
	SHOW(pthread_rwlock_wrlock(&rwlock));
	SHOW(pthread_rwlock_wrlock(&rwlock));
	SHOW(pthread_rwlock_tryrdlock(&rwlock));
	end = soon(CLOCK_REALTIME);
	SHOW(pthread_rwlock_timedrdlock(&rwlock, &end) != 0 ? 0 : EINVAL);

	pthread_spinlock_t spin;
	pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE);
	SHOW(pthread_spin_lock(&spin));
	SHOW(pthread_spin_trylock(&spin));

	pthread_barrier_t barrier;
	SHOW(pthread_barrier_init(&barrier, NULL, 0));
	SHOW(pthread_barrier_init(&barrier, NULL, 1));
	SHOW(pthread_barrier_wait(&barrier) == PTHREAD_BARRIER_SERIAL_THREAD ? 0 : EINVAL);
}

static int onces;

static void once(void) {
	onces++;
}

static void cleanup(void *text) {
	printf("cleanup of %s\n", (const char *)text);
}

static void attributes(void) {
	pthread_attr_t attributes;
	int state;
	size_t size;
	SHOW(pthread_attr_init(&attributes));
	SHOW(pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED));
	pthread_attr_getdetachstate(&attributes, &state);
	SHOW(pthread_attr_setstacksize(&attributes, 1));
	SHOW(pthread_attr_setstacksize(&attributes, 1 << 20));
	pthread_attr_getstacksize(&attributes, &size);
	printf("%d %zu\n", state == PTHREAD_CREATE_DETACHED, size);
}

static void process(const char *folder) {
	char path[4096], wrong[] = "nothing";
	struct stat status;
	snprintf(path, sizeof path, "%s/file-XXXXXX", folder);
	int file = mkstemp(path);
	printf("%d %d\n", file >= 0, strchr(path, 'X') == NULL || strstr(path, "XXXXXX") == NULL);
	SHOW_ERRNO(stat(path, &status));
	printf("%d %d %zd\n", status.st_uid == geteuid(), status.st_gid == getegid(), write(file, "text", 4));
	SHOW_ERRNO(unlink(path));
	SHOW_ERRNO(mkstemp(wrong));
	snprintf(path, sizeof path, "%s/folder-XXXXXX", folder);
	printf("%d\n", mkdtemp(path) == path);
	SHOW_ERRNO(rmdir(path));

	int end;
	SHOW_ERRNO(wait(&end));
	SHOW_ERRNO(waitpid(-1, &end, WNOHANG));
	printf("%d %d\n", WIFEXITED(0x0300), WEXITSTATUS(0x0300));
	printf("%d %d\n", getuid() == geteuid(), getgid() == getegid());
	SHOW_ERRNO(setuid(getuid()));
}

int main(int count, char **arguments) {
	if (count < 2)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	mutexes();
	other_locks();
	attributes();
	process(arguments[1]);

	pthread_once_t control = PTHREAD_ONCE_INIT;
	pthread_once(&control, once);
	pthread_once(&control, once);
	printf("%d\n", onces);

	int before;
	SHOW(pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before));
	SHOW(before == PTHREAD_CANCEL_ENABLE ? 0 : EINVAL);
	SHOW(pthread_setcancelstate(77, NULL));
	SHOW(pthread_cancel(pthread_self()));
	pthread_testcancel();
	SHOW(pthread_join(pthread_self(), NULL));
	SHOW(pthread_equal(pthread_self(), pthread_self()) ? 0 : EINVAL);

	pthread_key_t key, other;
	SHOW(pthread_key_create(&key, cleanup));
	SHOW(pthread_key_create(&other, cleanup));
	SHOW(pthread_setspecific(key, "the thread"));
	SHOW(pthread_getspecific(other) == NULL ? 0 : EINVAL);
	SHOW(pthread_key_delete(other));
	SHOW(pthread_setspecific(other, "nothing"));
	puts((const char *)pthread_getspecific(key));

	pthread_cleanup_push(cleanup, "one");
	pthread_cleanup_push(cleanup, "two");
	pthread_cleanup_push(cleanup, "three");
	pthread_cleanup_pop(1);
	pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
	pthread_testcancel();
	pthread_cleanup_pop(0);
	pthread_cleanup_pop(0);
	return 1;
}
